import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { missingChromium } from "./chromium.mjs";
import { command } from "./command.mjs";
import { startInstance } from "./instance.mjs";
import { interruption } from "./interruption.mjs";
import { ensurePackages } from "./packages.mjs";
import { ROOT } from "./paths.mjs";
import { step } from "./progress.mjs";
import { ensureVenv, vignettePython } from "./python.mjs";
import { readSettings } from "./settings.mjs";
import { Stop } from "./stop.mjs";

const BENCHES = { latency, throughput, acks, page };
const CONCURRENT = [1, 4, 16];
const IMAGES = { 1: 12, 4: 24, 16: 64 };
const BASELINE_IMAGES = 12;

/**
 * `npm run bench [-- latency|throughput|acks|page]`: measures a Vignette of its own, prints Markdown tables and writes
 * bench/results/*.json with the date, machine and command.
 */
export async function bench(names) {
  const unknown = names.find((name) => !(name in BENCHES));
  if (unknown)
    throw new Stop(`There is no bench ${JSON.stringify(unknown)}; there are ${Object.keys(BENCHES).join(", ")}.`, 2);
  await ensurePackages();
  await ensureVenv();
  const [cpu] = cpus();
  const machine = `${availableParallelism()} x ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
  const results = join(ROOT, "bench", "results");
  await mkdir(results, { recursive: true });
  for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
    const { table, result } = await BENCHES[name]();
    const about = { date: new Date().toISOString(), machine, command: `npm run bench -- ${name}` };
    await writeFile(join(results, `${name}.json`), `${JSON.stringify({ ...about, ...result }, null, 2)}\n`);
    console.log(`\n${table}\n\n${about.date.slice(0, 10)}, ${machine}, \`${about.command}\``);
  }
  return 0;
}

/** Runs `work` against a fresh instance on free ports, with a state folder of its own. */
async function withInstance(work) {
  const state = await mkdtemp(join(tmpdir(), "vignette-bench-"));
  const settings = { ...readSettings(process.env), port: 0, runnerPort: 0, state };
  const instance = await startInstance(settings, { signal: interruption });
  try {
    return await Promise.race([work(instance), instance.failed]);
  } finally {
    await instance.stop();
    await rm(state, { recursive: true, force: true });
  }
}

async function latency() {
  const { measureLatency, latencyTable } = await import("../../bench/latency.ts");
  const result = await withInstance((instance) => step("One picture at a time", () => measureLatency(instance)));
  return { result, table: latencyTable(result) };
}

/** Bots of both platforms by every way they are reached; the edge's share an instance that is started with them. */
async function acks() {
  const { acksTable, EDGE_VARIABLES, measureAcks, measureEdgeAcks } = await import("../../bench/acks.ts");
  const rows = await step("Bots as processes", measureAcks);
  Object.assign(process.env, EDGE_VARIABLES);
  rows.push(...(await withInstance((instance) => step("Bots at the edge", () => measureEdgeAcks(instance.url)))));
  return { result: { rows }, table: acksTable(rows) };
}

/** In the system's Chromium, with an edge of its own. */
async function page() {
  const missing = missingChromium();
  if (missing) throw new Stop(missing, 2);
  const { measurePage, pageTable } = await import("../../bench/page.ts");
  const result = await step("The page in Chromium", measurePage);
  return { result, table: pageTable(result) };
}

/** The baseline runs before and after, alone on the machine, so that a drift of the machine shows. */
async function throughput() {
  const { measureThroughput, throughputTable } = await import("../../bench/throughput.ts");
  const before = await sequential();
  const rows = await withInstance(async (instance) => {
    const measured = [];
    for (const concurrent of CONCURRENT)
      measured.push(
        await step(`${concurrent} concurrent`, () => measureThroughput(instance, concurrent, IMAGES[concurrent])),
      );
    return measured;
  });
  const after = await sequential();
  const table = throughputTable(rows, [before.images_per_minute, after.images_per_minute]);
  return { table, result: { vignette: rows, diffusers: { before, after } } };
}

async function sequential() {
  const { PROMPTS } = await import("../../bench/target.ts");
  const { file, env } = vignettePython([]);
  const { models, device } = readSettings(process.env);
  const script = [join(ROOT, "bench", "sequential.py"), "--models", models, "--images", String(BASELINE_IMAGES)];
  return step("diffusers, one at a time", async () => {
    const { code, tail } = await command(file, [...script, "--prompts", JSON.stringify(PROMPTS)], {
      cwd: ROOT,
      env: { ...env, VIGNETTE_DEVICE: device },
    });
    if (code !== 0) throw new Stop(`The baseline failed:\n${tail}`);
    return JSON.parse(tail.split("\n").at(-1) ?? "");
  });
}
