import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { missingChromium } from "./chromium.mjs";
import { command } from "./command.mjs";
import { startInstance } from "./instance.mjs";
import { interruption, unlessInterrupted } from "./interruption.mjs";
import { ensurePackages } from "./packages.mjs";
import { ROOT } from "./paths.mjs";
import { step } from "./progress.mjs";
import { ensureVenv, findPython, vignettePython } from "./python.mjs";
import { readSettings } from "./settings.mjs";
import { Stop } from "./stop.mjs";

const BENCHES = {
  latency,
  throughput,
  acks,
  page,
  "edge-hot": edgeHot,
  "edge-cost": edgeCost,
  "edge-watchers": edgeWatchers,
  "edge-storm": edgeStorm,
  clients,
  "adapter-training": adapterTraining,
};
/** What runs for minutes, or downloads, runs only when it is named. */
const ON_DEMAND = ["edge-storm", "clients", "adapter-training"];
/** Generations in the storm; another number may come from the environment. */
const STORM = Number(process.env.STORM ?? 10_000);
/** What changes how much is measured: a result says what it was made with. */
const SETTINGS = ["ROUNDS", "STORM", "EXAMPLES"];
const CONCURRENT = [1, 4, 16];
const IMAGES = { 1: 12, 4: 24, 16: 64 };
const BASELINE_IMAGES = 12;

/** Names what is measured and says what is passed over: nothing that was named. @param missing why there is no browser */
export function choose(given, missing) {
  if (given.length > 0) return { names: given, left: [] };
  const usual = Object.keys(BENCHES).filter((name) => !ON_DEMAND.includes(name));
  if (!missing) return { names: usual, left: [] };
  return { names: usual.filter((name) => name !== "page"), left: [`! The bench page was NOT run: ${missing}`] };
}

/**
 * `npm run bench [-- NAME …]`, names being those of `BENCHES`: measures a Vignette of its own, prints Markdown tables and
 * writes bench/results/*.json with the date, machine and command.
 */
export async function bench(given) {
  const unknown = given.find((name) => !(name in BENCHES));
  if (unknown)
    throw new Stop(`There is no bench ${JSON.stringify(unknown)}; there are ${Object.keys(BENCHES).join(", ")}.`, 2);
  await ensurePackages();
  await ensureVenv();
  const [cpu] = cpus();
  const machine = `${availableParallelism()} x ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
  const results = join(ROOT, "bench", "results");
  await mkdir(results, { recursive: true });
  const { names, left } = choose(given, missingChromium());
  for (const name of names) {
    const { table, result } = await BENCHES[name]();
    const chosen = SETTINGS.filter((setting) => process.env[setting]).map((each) => `${each}=${process.env[each]} `);
    const about = { date: new Date().toISOString(), machine, command: `${chosen.join("")}npm run bench -- ${name}` };
    await writeFile(join(results, `${name}.json`), `${JSON.stringify({ ...about, ...result }, null, 2)}\n`);
    console.log(`\n${table}\n\n${about.date.slice(0, 10)}, ${machine}, \`${about.command}\``);
  }
  for (const line of left) console.log(`\n${line}`);
  return 0;
}

/** Runs `work` against a fresh instance on free ports, with a state folder of its own. */
async function withInstance(work) {
  const state = await mkdtemp(join(tmpdir(), "vignette-bench-"));
  const settings = { ...readSettings(process.env), port: 0, runnerPort: 0, state };
  const instance = await startInstance(settings, { signal: interruption });
  try {
    return await unlessInterrupted(Promise.race([work(instance), instance.failed]));
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

/** The edge's own work: its runner is the tests' strict double, which draws in no time. */
async function edgeHot() {
  const { measureHot, hotTable } = await import("../../bench/edge/hot.ts");
  const result = await step("Hot paths beside bare routes", measureHot);
  return { result, table: hotTable(result) };
}

async function edgeCost() {
  const { costTable, measureCost } = await import("../../bench/edge/hot.ts");
  const result = await step("Counting operations", measureCost);
  return { result, table: costTable(result) };
}

async function edgeWatchers() {
  const { measureWatchers, watchersTable } = await import("../../bench/edge/watchers.ts");
  const result = await step("1,000 watchers", () => measureWatchers());
  return { result, table: watchersTable(result) };
}

async function edgeStorm() {
  const { measureStorm, stormTable } = await import("../../bench/edge/storm.ts");
  const result = await step(`${STORM} in line`, (news) => measureStorm(STORM, news));
  return { result, table: stormTable(result) };
}

/** No bench but a check that needs the network for its packages, and an environment of its own for them. */
async function clients() {
  const { clientsTable, measureClients } = await import("../../bench/clients.ts");
  const venv = await mkdtemp(join(tmpdir(), "vignette-clients-"));
  const bin = join(venv, process.platform === "win32" ? "Scripts" : "bin");
  try {
    const requirements = join(ROOT, "bench", "clients", "requirements.txt");
    for (const [file, ...args] of [
      [await findPython(), "-m", "venv", venv],
      [join(bin, "python"), "-m", "pip", "install", "--quiet", "--requirement", requirements],
    ]) {
      const { code, tail } = await step(args.slice(0, 3).join(" "), () => command(file, args));
      if (code !== 0) throw new Stop(`The clients' environment could not be made: ${tail}`);
    }
    const result = await step("Other people's clients", () => measureClients(bin));
    return { result, table: clientsTable(result) };
  } finally {
    await rm(venv, { recursive: true, force: true });
  }
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
  const { models } = readSettings(process.env);
  const args = ["--models", models, "--images", String(BASELINE_IMAGES), "--prompts", JSON.stringify(PROMPTS)];
  return step("diffusers, one at a time", () => python("sequential.py", args));
}

/** The miniature, and Stable Diffusion 1.5 in its full size with random weights; a CPU is spared the full pictures. */
async function adapterTraining() {
  await ensureVenv({ dev: true });
  const { device } = readSettings(process.env);
  const results = [];
  for (const [name, args] of [
    ["The miniature", ["--model", "miniature"]],
    ["Stable Diffusion 1.5", ["--model", "sd15"]],
  ])
    results.push(await step(name, () => python("adapter-training.py", ["--device", device, ...args])));
  return { result: { results }, table: results.map(trainingTable).join("\n\n") };
}

const trainingTable = ({ model, device, dtype, pixels, batch, rows, drawing }) =>
  `| ${model}, ${pixels} pixels, ${dtype} on ${device}, ${batch} samples | samples/s | times the UNet alone | samples/s against the published structure |
|---|---|---|---|
${rows.map((row) => `| ${row.way} | ${row.samples_per_second} | ${row.times_unet} | ${row.published_times} |`).join("\n")}

The adapter takes ${drawing.adapter_ms} ms, ${(drawing.adapter_share * 100).toFixed(3)} % of a picture of ${drawing.steps} steps.`;

/** Runs one of bench/*.py; @returns the JSON that it prints at its end. */
async function python(script, args) {
  const { file, env } = vignettePython([]);
  const { device } = readSettings(process.env);
  const { code, tail } = await command(file, [join(ROOT, "bench", script), ...args], {
    cwd: ROOT,
    env: { ...env, VIGNETTE_DEVICE: device },
  });
  if (code !== 0) throw new Stop(`bench/${script} failed:\n${tail}`);
  return JSON.parse(tail.split("\n").findLast((line) => line.startsWith("{")) ?? "");
}
