import { Agent } from "node:http";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { median, quantile, round } from "../statistics.ts";
import { type Cost, costOf, costRow } from "./cost.ts";
import { closedLoop, fixedRate, type Shot, timed } from "./load.ts";
import { type Rig, withRig } from "./rig.ts";

const CONNECTIONS = 8;
/** Many short ones in turns: what else the machine does then falls on both sides alike. */
const ROUNDS = Number(process.env.ROUNDS ?? 20);
const ROUND_SECONDS = 1;
/** Of the slower route's throughput: well below saturation. */
const LOAD = 0.4;
const PAIRS = 150;

interface Side {
  perSecond: number;
  /** Processor time of workerd for one request, milliseconds. */
  cpuMs: number;
  p50: number;
  p99: number;
}

/** A route of ours beside the bare one that does the least of the same. */
export interface Comparison {
  ours: Side;
  bare: Side;
  /** Requests per second at which p50 and p99 were taken. */
  rate: number;
  throughput_ratio: number;
  cpu_ratio: number;
  p50_ratio: number;
  p99_ratio: number;
}

export interface Hot {
  cache_hit: Comparison;
  image: Comparison;
  /** Against a bare route that writes one line to the log, as ours does. */
  image_told: Comparison;
  accept: { ours_p50: number; bare_p50: number; p50_ratio: number; pairs: number; d1_trips: number };
  /** By the operations that the worker's own lines count. */
  costs: { cache_hit: Cost; image: Cost };
}

/** The three hot paths, each against a bare Hono route in the same workerd and the same run, in turns. */
export function measureHot(): Promise<Hot> {
  return withRig({ drawMs: 1, capacity: 64 }, async (rig) => {
    const seeded = { prompt: "two purple cats fell asleep on the beach", seed: 7 };
    const drawn = await rig.json<{ images: { url: string; sha256: string }[]; id: string }>(
      "POST",
      "/v1/generations",
      seeded,
      { Prefer: "wait=30" },
    );
    const [image] = drawn.images;
    if (!image) throw new Error("nothing was drawn");
    const hit: Shot = {
      url: `${rig.url}/v1/generations`,
      method: "POST",
      headers: rig.headers,
      body: JSON.stringify(seeded),
      status: 200,
    };
    const read: Shot = { url: `${rig.url}/bare/read`, status: 200 };
    const object = `images/${drawn.id}/${image.sha256}.png`;
    const cache_hit = await compare(rig, hit, read);
    const hits = (await requests(rig, "/v1/generations")).filter(({ status }) => status === 200);
    const bare: Shot = { url: `${rig.url}/bare/object/${object}`, status: 200 };
    const images = await compare(rig, { url: image.url, status: 200 }, bare);
    const told = await compare(
      rig,
      { url: image.url, status: 200 },
      { ...bare, url: `${rig.url}/bare/told/${object}` },
    );
    const gets = await requests(rig, "/i/:file");
    return {
      cache_hit,
      image: images,
      image_told: told,
      accept: await accept(rig),
      costs: {
        cache_hit: costOf(hits, hits.length),
        image: costOf(gets, gets.length),
      },
    };
  });
}

const PICTURES = 50;

/** What one picture costs from its POST to its end, the runner's callbacks included: two steps, one image, no webhook. */
export function measureCost(): Promise<Cost> {
  return withRig({ drawMs: 1, capacity: 64 }, async (rig) => {
    const draw = async () => {
      await rig.json("POST", "/v1/generations", { prompt: "two purple cats fell asleep on the beach" });
      await ended(rig);
    };
    // The first ones look the key and the models up, which the isolate then remembers.
    for (let n = 0; n < 5; n++) await draw();
    const before = (await rig.lines()).length;
    for (let n = 0; n < PICTURES; n++) await draw();
    // Its own message comes after every other word about it.
    await delay(15_000);
    const lines = (await rig.lines()).slice(before);
    // Without this bench's own looking on.
    return costOf(
      lines.filter(({ method }) => method !== "GET"),
      PICTURES,
    );
  });
}

export const costTable = (cost: Cost) => `| one of | operations | a million |
|---|---|---|
${costRow("a picture from its POST to its end", cost)}`;

async function requests(rig: Rig, route: string) {
  const prefix = route.split("/:")[0] ?? route;
  return (await rig.lines()).filter(
    (line) => line.event === "request" && String(line.route).startsWith(prefix) && Number(line.status) < 300,
  );
}

async function compare(rig: Rig, ours: Shot, bare: Shot): Promise<Comparison> {
  const sides = {
    ours: { shot: ours, rounds: [] as number[], cpu: [] as number[] },
    bare: { shot: bare, rounds: [] as number[], cpu: [] as number[] },
  };
  for (const { shot } of Object.values(sides)) await closedLoop(() => shot, CONNECTIONS, 1);
  for (let round = 0; round < ROUNDS; round++)
    for (const side of Object.values(sides)) {
      const before = await rig.cpu();
      const { perSecond, latencies } = await closedLoop(() => side.shot, CONNECTIONS, ROUND_SECONDS);
      side.rounds.push(perSecond);
      side.cpu.push((((await rig.cpu()) - before) * 1000) / latencies.length);
    }
  const rate = Math.max(5, Math.floor(LOAD * Math.min(median(sides.ours.rounds), median(sides.bare.rounds))));
  const steady = { ours: [] as number[], bare: [] as number[] };
  for (let round = 0; round < ROUNDS; round++)
    for (const name of ["ours", "bare"] as const)
      steady[name].push(...(await fixedRate(() => sides[name].shot, rate, ROUND_SECONDS)).latencies);
  const side = (name: "ours" | "bare"): Side => ({
    perSecond: round(median(sides[name].rounds), 1),
    cpuMs: round(median(sides[name].cpu), 3),
    p50: round(median(steady[name]), 2),
    p99: round(quantile(steady[name], 0.99), 2),
  });
  const [one, other] = [side("ours"), side("bare")];
  return {
    ours: one,
    bare: other,
    rate,
    throughput_ratio: round(one.perSecond / other.perSecond, 2),
    cpu_ratio: round(one.cpuMs / other.cpuMs, 2),
    p50_ratio: round(one.p50 / other.p50, 2),
    p99_ratio: round(one.p99 / other.p99, 2),
  };
}

/** From the POST to its 202, one at a time, against a route that writes one row; each waits for the picture before it. */
async function accept(rig: Rig): Promise<Hot["accept"]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const body = JSON.stringify({ prompt: "two purple cats fell asleep on the beach" });
  const write: Shot = { url: `${rig.url}/bare/write`, method: "POST", headers: rig.headers, body, status: 202 };
  const create: Shot = { ...write, url: `${rig.url}/v1/generations` };
  const times = { ours: [] as number[], bare: [] as number[] };
  for (let pair = 0; pair < PAIRS; pair++) {
    times.bare.push(await timed(write, agent, performance.now()));
    times.ours.push(await timed(create, agent, performance.now()));
    await ended(rig);
  }
  agent.destroy();
  const trips = (await rig.lines())
    .filter(({ event, route, status }) => event === "request" && route === "/v1/generations" && status === 202)
    .map(({ d1 }) => Number(d1))
    // The first ones look the key and the models up, which the isolate then remembers.
    .slice(5);
  return {
    ours_p50: round(median(times.ours), 2),
    bare_p50: round(median(times.bare), 2),
    p50_ratio: round(median(times.ours) / median(times.bare), 2),
    pairs: PAIRS,
    d1_trips: Math.max(...trips),
  };
}

async function ended(rig: Rig): Promise<void> {
  for (;;) {
    const { data } = await rig.json<{ data: { status: string }[] }>("GET", "/v1/generations?limit=1");
    if (data[0]?.status === "succeeded") return;
  }
}

export const hotTable = ({ cache_hit, image, image_told, accept, costs }: Hot) => `| | ours | bare Hono route | ratio |
|---|---|---|---|
${row("cache hit against one D1 read", cache_hit)}
${row("image against one R2 read", image)}
${row("image against one R2 read with a line in the log", image_told)}
| POST to 202 against one D1 write, p50, one at a time | ${accept.ours_p50} ms | ${accept.bare_p50} ms | ${accept.p50_ratio} |
| trips to D1 on the way of a POST, at most | ${accept.d1_trips} | 1 | |

| one of | operations | a million |
|---|---|---|
${costRow("a picture from the cache", costs.cache_hit)}
${costRow("an image", costs.image)}`;

const row = (name: string, { ours, bare, rate, ...ratio }: Comparison) =>
  `| ${name}: requests per second, ${CONNECTIONS} connections | ${ours.perSecond} | ${bare.perSecond} | ${ratio.throughput_ratio} |
| processor time of workerd for one | ${ours.cpuMs} ms | ${bare.cpuMs} ms | ${ratio.cpu_ratio} |
| p50 at ${rate} per second | ${ours.p50} ms | ${bare.p50} ms | ${ratio.p50_ratio} |
| p99 at ${rate} per second | ${ours.p99} ms | ${bare.p99} ms | ${ratio.p99_ratio} |`;
