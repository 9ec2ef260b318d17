import { Agent } from "node:http";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { median, round } from "../statistics.ts";
import { type Cold, coldRows, measureCold } from "./cold.ts";
import { type Comparison, compare, comparisonRow, ROUNDS } from "./compare.ts";
import { type Cost, costOf, costRow } from "./cost.ts";
import { type Shot, timed } from "./load.ts";
import { type Rig, withRig } from "./rig.ts";

const PAIRS = 150;

export interface Hot {
  /** How often each side of a comparison had its turn. */
  rounds: number;
  /** The same request again and again, which an isolate remembers. */
  cache_hit: Comparison;
  image: Comparison;
  /** Against a bare route that writes one line to the log, as ours does. */
  image_told: Comparison;
  cold: Cold;
  accept: { ours_p50: number; bare_p50: number; p50_ratio: number; pairs: number; d1_trips: number };
  /** By the operations that the worker's own lines count. */
  costs: { cache_hit: Cost; image: Cost };
}

/** The three hot paths, remembered and not, each against a bare Hono route in the same workerd and the same run, in turns. */
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
    const accepted = await accept(rig);
    return {
      rounds: ROUNDS,
      cache_hit,
      image: images,
      image_told: told,
      cold: await measureCold(rig, drawn.id, read),
      accept: accepted,
      costs: {
        cache_hit: costOf(hits, hits.length),
        image: costOf(gets, gets.length),
      },
    };
  });
}

const PICTURES = 50;
/** An hour after a generation's end its object's last alarm deletes its row and itself: later than this bench waits. */
const FORGOTTEN = { event: "object", objects: 1, object_rows: 1 };

/** What one picture costs from its POST to its end, the runner's callbacks included: two steps, one image, no webhook. */
export function measureCost(): Promise<Cost> {
  return withRig({ drawMs: 1, capacity: 64, vars: { METER_OBJECTS: "1" } }, async (rig) => {
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
    const own = lines.filter(({ method }) => method !== "GET");
    return costOf([...own, ...Array<typeof FORGOTTEN>(PICTURES).fill(FORGOTTEN)], PICTURES);
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

export const hotTable = ({
  rounds,
  cache_hit,
  image,
  image_told,
  cold,
  accept,
  costs,
}: Hot) => `| ${rounds} rounds | ours | bare Hono route | ratio |
|---|---|---|---|
${comparisonRow("cache hit, the same, against one D1 read", cache_hit)}
${comparisonRow("image, the same, against one R2 read", image)}
${comparisonRow("image, the same, against one R2 read with a line in the log", image_told)}
${coldRows(cold)}
| POST to 202 against one D1 write, p50, one at a time | ${accept.ours_p50} ms | ${accept.bare_p50} ms | ${accept.p50_ratio} |
| trips to D1 on the way of a POST, at most | ${accept.d1_trips} | 1 | |

| one of | operations | a million |
|---|---|---|
${costRow("a picture from the cache", costs.cache_hit)}
${costRow("an image", costs.image)}`;
