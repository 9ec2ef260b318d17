// The edge in a process of its own: bundles the worker, runs it in workerd through Miniflare, ticks its crons.
// Speaks IPC with the launcher: gets the configuration, answers { ready } or { failed }.
import { createWriteStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { finished } from "node:stream/promises";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare, Response } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig, unstable_splitSqlQuery } from "wrangler";
import { ensureKey } from "./dev-key.mjs";
import { ROOT } from "./paths.mjs";
import { HOST } from "./ports.mjs";
import { buildWeb, contentType } from "./web.mjs";

/** What wrangler.toml's crons say: every minute. */
const CRON_MS = 60_000;
const NAME = "vignette";
/**
 * Calls the worker's `scheduled`. Miniflare's own way from Node to there waits with this thread, which has workerd's output to
 * read: with enough of it workerd waits for this thread too, and nothing ever goes on.
 */
const CLOCK = `export default {
  async fetch(request, { WORKER }) {
    await WORKER.scheduled({ cron: await request.text() });
    return new Response(null, { status: 204 });
  },
};`;

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

/**
 * Brings the database up to date and makes sure of the development key, before the worker runs: its alarms begin at once.
 * @returns {Promise<string>} the key
 */
async function prepare({ d1Databases }, { state, apiKey }) {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      resourcePersistencePath: join(state, "v3"),
      d1Databases,
      modules: true,
      script: "export default {};",
    }),
  );
  try {
    const database = await miniflare.getD1Database("DB");
    await migrate(database);
    // The runner that starts beside it may have another models.toml than the last one: its list is to be asked for again.
    await database.prepare("UPDATE runners SET fetched_at = 0").run();
    return await ensureKey(database, apiKey);
  } finally {
    await miniflare.dispose();
  }
}

/**
 * The worker's lines, straight into the log: by the console and the launcher each would be read and written twice more.
 * @param {string | undefined} log undefined: they go to the console
 */
function linesTo(log) {
  if (!log) return { options: {}, close: async () => {} };
  const file = createWriteStream(log, { flags: "a", mode: 0o600 });
  // A full disk costs lines, not the edge.
  file.on("error", (error) => console.error(`The log cannot be written: ${error.message}`));
  return {
    options: { handleStructuredLogs: ({ message }) => file.write(`${message}\n`) },
    close: () => finished(file.end()).catch(() => {}),
  };
}

/** @param configuration as in edge.mjs; `docs`: another folder of study.md and study/, for tests */
async function serve({ port, state, bindings, apiKey, pageKey, entry, log, cronMs = CRON_MS, docs }) {
  const config = join(ROOT, "wrangler.toml");
  const { workerOptions, main } = unstable_getMiniflareWorkerOptions(config);
  const { modulesRules: _, rootPath: __, assets: ___, ...options } = workerOptions;
  const { triggers } = unstable_readConfig({ config });
  const [key, contents, ASSETS] = await Promise.all([
    prepare(options, { state, apiKey }),
    bundle(entry ?? main),
    assets(docs),
  ]);
  const session = () => Response.json({ api_key: key }, { headers: { "Cache-Control": "no-store" } });
  const worker = {
    ...options,
    name: NAME,
    bindings: { ...options.bindings, ...bindings },
    serviceBindings: { ...options.serviceBindings, ASSETS, ...(pageKey ? { DEV_SESSION: session } : {}) },
    modules: [{ type: "ESModule", path: resolve(ROOT, "index.js"), contents }],
    modulesRoot: ROOT,
  };
  const clock = {
    name: "clock",
    compatibilityDate: options.compatibilityDate,
    compatibilityFlags: [...(options.compatibilityFlags ?? []), "service_binding_extra_handlers"],
    serviceBindings: { WORKER: NAME },
    modules: [{ type: "ESModule", path: resolve(ROOT, "clock.js"), contents: CLOCK }],
    modulesRoot: ROOT,
  };
  const lines = linesTo(log);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...lines.options,
      host: HOST,
      port,
      cf: false,
      unsafeTriggerHandlers: false,
      resourcePersistencePath: join(state, "v3"),
      workers: [worker, clock],
    }),
  );
  await miniflare.ready;
  const hand = await miniflare.getWorker(clock.name);
  const busy = new Set();
  const timer = setInterval(() => {
    for (const body of triggers.crons ?? []) {
      // Under load one may take longer than a minute; another beside it would do the same again.
      if (busy.has(body)) continue;
      busy.add(body);
      hand
        .fetch("http://clock", { method: "POST", body })
        .then(({ ok, status }) => ok || console.error(`cron ${body}: ${status}`))
        .catch((error) => console.error(`cron ${body}: ${error.message}`))
        .finally(() => busy.delete(body));
    }
  }, cronMs);
  return {
    key,
    async stop() {
      clearInterval(timer);
      await miniflare.dispose();
      await lines.close();
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
