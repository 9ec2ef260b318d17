import { Agent, request as send } from "node:http";
import { round } from "../statistics.ts";
import { type Rig, withRig } from "./rig.ts";

export interface Watchers {
  watchers: number;
  generations: number;
  /** Events that arrived, over all watchers. */
  events: number;
  /** Watchers that saw another sequence than the others of their generation, or one that is not whole. */
  lost: number;
  /** Resident memory of workerd before anybody watched and with everybody watching, MiB. */
  memory_before: number;
  memory_watching: number;
  kib_per_watcher: number;
  seconds: number;
}

const STEPS = 12;

/** Many watch few: every watcher must see every event of its generation, each from one upstream. */
export function measureWatchers(watchers = 1_000, generations = 50): Promise<Watchers> {
  return withRig({ drawMs: 600, capacity: generations, steps: STEPS }, async (rig) => {
    // They begin when everybody watches.
    rig.runner.automatic = false;
    const ids: string[] = [];
    for (let n = 0; n < generations; n++)
      ids.push((await rig.json<{ id: string }>("POST", "/v1/generations", { prompt: `cat number ${n}` })).id);
    const before = await rig.memory();
    const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
    const streams: Watcher[] = [];
    for (let n = 0; n < watchers; n++) {
      const watcher = watch(rig, ids[n % generations] ?? "", agent);
      streams.push(watcher);
      // As people come, not all in one millisecond.
      if (n % 50 === 49) await Promise.all(streams.map(({ opened }) => opened));
    }
    await Promise.all(streams.map(({ opened }) => opened));
    const watching = await rig.memory();
    const began = performance.now();
    const drawing = ids.map((id) => rig.runner.begin(id));
    const seen = await Promise.all(streams.map(({ ended }) => ended));
    const seconds = (performance.now() - began) / 1000;
    await Promise.all(drawing);
    agent.destroy();
    return {
      watchers,
      generations,
      events: seen.reduce((sum, events) => sum + events.length, 0),
      lost: seen.filter((events, n) => !isWhole(events, seen[n % generations] ?? [])).length,
      memory_before: before,
      memory_watching: watching,
      kib_per_watcher: round(((watching - before) * 1024) / watchers, 1),
      seconds: round(seconds, 1),
    };
  });
}

interface Watcher {
  opened: Promise<void>;
  ended: Promise<string[]>;
}

/** Reads a generation's events to the end: `id event`, one after the other. */
function watch(rig: Rig, id: string, agent: Agent): Watcher {
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string[]>();
  const request = send(`${rig.url}/v1/generations/${id}/events`, { headers: rig.headers, agent }, (response) => {
    let text = "";
    response.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      // The first event comes with the stream.
      opened.resolve();
    });
    response.on("end", () =>
      ended.resolve([...text.matchAll(/^id: (\d+)\nevent: (\w+)$/gm)].map(([, number, name]) => `${number} ${name}`)),
    );
  });
  request.on("error", (error) => {
    opened.reject(error);
    ended.reject(error);
  });
  request.end();
  return { opened: opened.promise, ended: ended.promise };
}

/** From the first status over every step to the end, the same as the first watcher of that generation saw. */
function isWhole(events: string[], first: string[]): boolean {
  const names = events.map((event) => event.split(" ")[1]);
  // A place in line may be told to whoever watches early.
  const own = (list: string[]) => list.filter((event) => !event.endsWith("progress")).join();
  return (
    own(events) === own(first) &&
    names.filter((name) => name === "progress").length >= STEPS - 1 &&
    names.at(-1) === "completed" &&
    names.filter((name) => name === "status").length === 2
  );
}

export const watchersTable = (
  result: Watchers,
) => `| ${result.watchers} watchers of ${result.generations} generations | |
|---|---|
| events that arrived | ${result.events} |
| watchers that missed one | ${result.lost} |
| memory of workerd before | ${result.memory_before} MiB |
| memory of workerd with everybody watching | ${result.memory_watching} MiB (${result.kib_per_watcher} KiB for each) |
| from the first step to the last end | ${result.seconds} s |`;
