// Builds the web page into hashed files that never change under their names, and the two HTML files that name them.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "./paths.mjs";
import { referenceScript } from "./reference.mjs";

const SOURCE = join(ROOT, "src", "web");
/** Where `wrangler deploy` looks for it (wrangler.toml). */
export const WEB_DIST = join(ROOT, "dist", "web");

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
export const contentType = (path) => TYPES[extname(path)] ?? "application/octet-stream";

/** What is under /assets is served by the platform itself where it can; this is its `_headers` file. */
const HEADERS = `/assets/*
  Cache-Control: public, max-age=31536000, immutable
  X-Content-Type-Options: nosniff
`;

/** What Scalar's page leaves alone: everything that would ask somebody else. */
const REFERENCE = {
  withDefaultFonts: false,
  telemetry: false,
  persistAuth: false,
  showDeveloperTools: "never",
  defaultOpenAllTags: true,
  authentication: { preferredSecurityScheme: "key" },
  agent: { disabled: true },
  mcp: { disabled: true },
};

/**
 * @param {{ minify?: boolean, docs?: string }} [options] docs: the folder with study.md and study/
 * @returns {Promise<Map<string, Uint8Array>>} path from the site's root, without a leading slash, to contents
 */
export async function buildWeb({ minify = true, docs = join(ROOT, "docs") } = {}) {
  const outdir = join(ROOT, "dist", "web");
  const { outputFiles, metafile } = await build({
    entryPoints: { app: join(SOURCE, "main.tsx") },
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2023",
    jsx: "automatic",
    jsxImportSource: "preact",
    minify,
    entryNames: "assets/[name]-[hash]",
    chunkNames: "assets/[name]-[hash]",
    assetNames: "assets/[name]-[hash]",
    loader: { ".woff2": "file", ".png": "file" },
    legalComments: "none",
    metafile: true,
    write: false,
    logLevel: "silent",
    absWorkingDir: ROOT,
    plugins: [study(docs)],
  });
  const files = new Map(outputFiles.map(({ path, contents }) => [path.slice(outdir.length + 1), contents]));
  const reference = encode(referenceScript());
  const referenceName = `assets/reference-${createHash("sha256").update(reference).digest("hex").slice(0, 8)}.js`;
  files.set(referenceName, reference);
  const names = {
    ...entryNames(metafile, files),
    reference: `/${referenceName}`,
    configuration: JSON.stringify(REFERENCE).replaceAll('"', "&quot;"),
  };
  for (const page of ["index.html", "share.html", "docs.html"])
    files.set(page, encode(fill(await readFile(join(SOURCE, page), "utf8"), names)));
  files.set("favicon.svg", await readFile(join(SOURCE, "favicon.svg")));
  files.set("robots.txt", encode("User-agent: *\nDisallow: /v1/\nDisallow: /i/\n"));
  files.set("_headers", encode(HEADERS));
  return files;
}

/**
 * Builds into a folder that wrangler reads. Safe beside itself and beside readers: files come whole, by renaming, and only
 * what no longer belongs there is removed.
 */
export async function writeWeb(folder = WEB_DIST) {
  const files = await buildWeb();
  await mkdir(dirname(folder), { recursive: true });
  const fresh = await mkdtemp(`${folder}-`);
  try {
    for (const [path, contents] of files) {
      const written = join(fresh, basename(path));
      await writeFile(written, contents);
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await rename(written, join(folder, path));
    }
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  const wanted = new Set([...files.keys()].map((path) => join(folder, path)));
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !wanted.has(path)) await rm(path, { force: true });
  }
}

/** The names that the HTML files need. */
function entryNames(metafile, files) {
  const [script, output] = Object.entries(metafile.outputs).find(
    ([, { entryPoint }]) => entryPoint === "src/web/main.tsx",
  );
  const url = (path) => `/${path.replace(/^dist\/web\//, "")}`;
  // Everything that the first view imports is fetched at once, and the two faces that its first line is set in.
  const chunks = output.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => url(path));
  const fonts = [...files.keys()].filter((path) => /-latin-wght-normal-/.test(basename(path)));
  const links = {
    fonts: fonts.map((path) => `<link rel="preload" href="/${path}" as="font" type="font/woff2" crossorigin>`),
    chunks: chunks.map((path) => `<link rel="modulepreload" href="${path}">`),
  };
  return {
    script: url(script),
    style: url(output.cssBundle),
    fonts: links.fonts.join("\n    "),
    chunks: links.chunks.join("\n    "),
  };
}

const fill = (template, values) => template.replace(/\{\{(\w+)\}\}/g, (whole, name) => values[name] ?? whole);
const encode = (text) => new TextEncoder().encode(text);

/**
 * `import … from "study:data"`: every table of docs/study, and the pictures that docs/study.md shows, as they are at the
 * time of the build. A picture `<table>-failures.png` belongs to the table of that name.
 */
const study = (docs) => ({
  name: "study",
  setup(build) {
    build.onResolve({ filter: /^study:data$/ }, ({ path }) => ({ path, namespace: "study" }));
    build.onLoad({ filter: /.*/, namespace: "study" }, async () => {
      const folder = join(docs, "study");
      const names = (await readdir(folder))
        .filter((name) => name.endsWith(".json"))
        .map((name) => basename(name, ".json"))
        .sort();
      const tables = await Promise.all(
        names.map(async (name) => ({
          name,
          data: JSON.parse(await readFile(join(folder, `${name}.json`), "utf8")),
        })),
      );
      const text = await readFile(join(docs, "study.md"), "utf8");
      const sheets = [...text.matchAll(/!\[([^\]]*)\]\((images\/[^)]+\.png)\)/g)].map(([, alt, path]) => ({
        alt,
        path: join(docs, path),
      }));
      const sizes = await Promise.all(sheets.map(async ({ path }) => pngSize(await readFile(path))));
      return {
        contents: [
          ...sheets.map(({ path }, index) => `import sheet${index} from ${JSON.stringify(path)};`),
          `export const tables = ${JSON.stringify(tables)};`,
          `export const sheets = [${sheets.map(({ alt, path }, index) => `{ name: ${JSON.stringify(basename(path, ".png"))}, url: "/assets/" + sheet${index}.split("/").pop(), alt: ${JSON.stringify(alt)}, ...${JSON.stringify(sizes[index])} }`).join(", ")}];`,
        ].join("\n"),
        loader: "js",
        resolveDir: ROOT,
      };
    });
  },
});

/** Width and height stand at bytes 16 and 20 (PNG specification, section 11.2.2). */
function pngSize(bytes) {
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}
