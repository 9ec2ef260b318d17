// Builds the package of src/client as it is published: one script, its declarations, README and licence.
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "./command.mjs";
import { ensurePackages } from "./packages.mjs";
import { NODE_MODULES, ROOT } from "./paths.mjs";
import { step } from "./progress.mjs";
import { Stop } from "./stop.mjs";

const SOURCE = join(ROOT, "src", "client");
export const CLIENT_DIST = join(ROOT, "dist", "client");

/** `npm run build:client`. @returns {Promise<number>} exit status */
export async function client() {
  await ensurePackages();
  await step("The client's package", () => buildClient());
  console.log("dist/client is made; `npm pack ./dist/client` makes an archive of it, which `npm install` takes.");
  return 0;
}

/**
 * @param {string} [folder] where the package goes; replaced as a whole
 */
export async function buildClient(folder = CLIENT_DIST) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  // Here, because it may have been installed just now.
  const { build } = await import("esbuild");
  await build({
    entryPoints: [join(SOURCE, "index.ts")],
    outfile: join(folder, "index.js"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    logLevel: "silent",
  });
  const tsc = [join(NODE_MODULES, "typescript", "bin", "tsc"), "-p", join(ROOT, "tsconfig.client.json")];
  const types = join(folder, "types");
  const { code, tail } = await command(process.execPath, [...tsc, "--outDir", types], { cwd: ROOT });
  if (code !== 0) throw new Stop(`The client's declarations could not be made:\n${tail}`);
  await rewrite(types);
  for (const name of ["package.json", "README.md"]) await cp(join(SOURCE, name), join(folder, name));
  await cp(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
}

/** Declarations name each other as a published package must, and zod without the edge's extension of it. */
async function rewrite(folder) {
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const path = join(folder, name);
    const text = await readFile(path, "utf8");
    const fixed = text
      .replace(/(from |import\()"(\.[^"]+)\.ts"/g, '$1"$2.js"')
      .replace(/"@hono\/zod-openapi"/g, '"zod"');
    await writeFile(path, fixed);
  }
}
