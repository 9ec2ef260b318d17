// The edge in a process of its own: bundles the worker, runs it in workerd through Miniflare, ticks its crons.
// Speaks IPC with the launcher: gets the configuration, answers { ready } or { failed }.
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare, Response } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig, unstable_splitSqlQuery } from "wrangler";
import { ensureKey } from "./dev-key.mjs";
import { ROOT } from "./paths.mjs";
import { HOST } from "./ports.mjs";
import { buildWeb, contentType } from "./web.mjs";

const CRON_MS = 60_000;

async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    sourcemap: "inline",
    write: false,
    outdir: "dist",
    logLevel: "silent",
  });
  return outputFiles[0].text;
}

/** Applies what is new in migrations/, in the table and order that `wrangler d1 migrations` uses. */
async function migrate(database) {
  await database
    .prepare(
      "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    .run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all();
  const applied = new Set(results.map(({ name }) => name));
  const folder = join(ROOT, "migrations");
  for (const name of (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort()) {
    if (applied.has(name)) continue;
    const statements = unstable_splitSqlQuery(await readFile(join(folder, name), "utf8"));
    await database.batch([
      ...statements.map((statement) => database.prepare(statement)),
      database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
    ]);
  }
}

/**
 * The built page as a service of the worker. Miniflare's own assets would stand before every request and halve the
 * API's throughput (docs/playground.md).
 */
async function assets(docs) {
  const files = await buildWeb({ docs });
  return ({ url }) => {
    const path = new URL(url).pathname.slice(1);
    const contents = files.get(path);
    if (!contents) return new Response("Not found", { status: 404 });
    const caching = path.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache";
    const headers = {
      "Content-Type": contentType(path),
      "Cache-Control": caching,
      "X-Content-Type-Options": "nosniff",
    };
    return new Response(contents, { headers });
  };
}

/** @param configuration `entry`: another worker than wrangler.toml's, for benches */
async function serve({ port, state, bindings, apiKey, pageKey, entry, docs }) {
  const config = join(ROOT, "wrangler.toml");
  const { workerOptions, main } = unstable_getMiniflareWorkerOptions(config);
  const { modulesRules: _, rootPath: __, assets: ___, ...options } = workerOptions;
  const { triggers } = unstable_readConfig({ config });
  let key; // known once the database is
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: HOST,
      port,
      cf: false,
      unsafeTriggerHandlers: false,
      resourcePersistencePath: join(state, "v3"),
      ...options,
      name: "vignette",
      bindings: { ...options.bindings, ...bindings },
      serviceBindings: {
        ...options.serviceBindings,
        ASSETS: await assets(docs),
        ...(pageKey
          ? { DEV_SESSION: () => Response.json({ api_key: key }, { headers: { "Cache-Control": "no-store" } }) }
          : {}),
      },
      modules: [{ type: "ESModule", path: resolve(ROOT, "index.js"), contents: await bundle(entry ?? main) }],
      modulesRoot: ROOT,
    }),
  );
  await miniflare.ready;
  const database = await miniflare.getD1Database("DB");
  await migrate(database);
  key = await ensureKey(database, apiKey);
  const timer = setInterval(async () => {
    const worker = await miniflare.getWorker();
    for (const cron of triggers.crons ?? [])
      await worker.scheduled({ cron }).catch((error) => console.error(`cron ${cron}: ${error.message}`));
  }, CRON_MS);
  return {
    key,
    async stop() {
      clearInterval(timer);
      await miniflare.dispose();
    },
  };
}

let edge;
const stop = async () => {
  await edge?.stop();
  process.exit(0);
};
process.on("disconnect", stop);
process.on("SIGTERM", stop);
process.once("message", async (configuration) => {
  try {
    edge = await serve(configuration);
    process.send({ ready: true, apiKey: edge.key });
  } catch (error) {
    console.error(error);
    process.send({ failed: error.message });
  }
});
