// The edge in a process of its own: bundles the worker, runs it in workerd through Miniflare, ticks its crons.
// Speaks IPC with the launcher: gets the configuration, answers { ready } or { failed }.
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig, unstable_splitSqlQuery } from "wrangler";
import { ensureKey } from "./dev-key.mjs";
import { ROOT } from "./paths.mjs";
import { HOST } from "./ports.mjs";

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

async function serve({ port, state, bindings, apiKey }) {
  const config = join(ROOT, "wrangler.toml");
  const { workerOptions, main } = unstable_getMiniflareWorkerOptions(config);
  const { modulesRules: _, rootPath: __, ...options } = workerOptions;
  const { triggers } = unstable_readConfig({ config });
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
      modules: [{ type: "ESModule", path: resolve(ROOT, "index.js"), contents: await bundle(main) }],
      modulesRoot: ROOT,
    }),
  );
  await miniflare.ready;
  const database = await miniflare.getD1Database("DB");
  await migrate(database);
  const key = await ensureKey(database, apiKey);
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
