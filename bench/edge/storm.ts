import { setTimeout as delay } from "node:timers/promises";
import { round } from "../statistics.ts";
import { withRig } from "./rig.ts";

const CLIENTS = 24;
const PATIENCE_MS = 60 * 60_000;

export interface Storm {
  generations: number;
  ends: Record<string, number>;
  /** What the usage table has counted. */
  usage: { generations: number; images: number };
  images: number;
  /** Requests that reached the runner, and pictures that it began. */
  runner_requests: number;
  creates: number;
  seconds: number;
  deaths: number;
}

/**
 * A line of ten thousand before a runner that breaks off a third of all requests and dies twice: every generation ends, each
 * once, and the usage is what succeeded.
 */
export function measureStorm(count = 10_000, news: (text: string) => void = () => {}): Promise<Storm> {
  const vars = { QUEUE_DEADLINE_SECONDS: "86400", RUN_DEADLINE_SECONDS: "3600" };
  return withRig({ drawMs: 20, capacity: 64, steps: 1, fails: 1 / 3, vars }, async (rig) => {
    const began = performance.now();
    let next = 0;
    const client = async () => {
      while (next < count) {
        const n = next++;
        await rig.json("POST", "/v1/generations", { prompt: `cat number ${n}` });
      }
    };
    const sending = Promise.all(Array.from({ length: CLIENTS }, client));
    // Heard below, where it is waited for.
    sending.catch(() => {});
    let deaths = 0;
    let ends: Record<string, number> = {};
    for (const until = began + PATIENCE_MS; performance.now() < until; ) {
      await delay(2_000);
      ends = await endsOf(rig);
      news(`${next} sent, ${listed(ends)}`);
      const over = (ends.succeeded ?? 0) + (ends.failed ?? 0) + (ends.canceled ?? 0);
      if (deaths < 2 && over > ((deaths + 1) * count) / 3) {
        deaths++;
        await rig.runner.die(5_000);
      }
      if (next >= count && over === count) break;
    }
    await sending;
    const { usage, images } = await rig.json<{ usage: Storm["usage"]; images: { n: number } }>("GET", "/bare/count");
    const { requests } = rig.runner;
    return {
      generations: count,
      ends,
      usage,
      images: images.n,
      runner_requests: requests.length,
      creates: requests.filter((line) => line.startsWith("PUT ")).length,
      seconds: round((performance.now() - began) / 1000, 1),
      deaths,
    };
  });
}

async function endsOf(rig: { json: <T>(method: string, path: string) => Promise<T> }): Promise<Record<string, number>> {
  const { ends } = await rig.json<{ ends: { status: string; n: number }[] }>("GET", "/bare/count");
  return Object.fromEntries(ends.map(({ status, n }) => [status, n]));
}

const listed = (ends: Record<string, number>) =>
  Object.entries(ends)
    .map(([status, n]) => `${n} ${status}`)
    .join(", ");

export const stormTable = (
  storm: Storm,
) => `| ${storm.generations} generations, a third of the runner's answers broken, ${storm.deaths} deaths | |
|---|---|
| ended | ${listed(storm.ends)} |
| usage | ${storm.usage.generations} generations, ${storm.usage.images} pictures |
| image rows | ${storm.images} |
| requests that reached the runner | ${storm.runner_requests} (${storm.creates} creates) |
| time | ${storm.seconds} s |`;
