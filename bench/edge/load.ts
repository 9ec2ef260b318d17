import { Agent, request as send } from "node:http";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/** One kind of request, made anew for each one sent. */
export interface Shot {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** The status that it must have. */
  status: number;
}

export interface Volley {
  /** Milliseconds from when each was due to the last byte of its answer. */
  latencies: number[];
  seconds: number;
  perSecond: number;
}

/** Sends as many as `connections` can, for `seconds`. */
export async function closedLoop(shot: () => Shot, connections: number, seconds: number): Promise<Volley> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latencies: number[] = [];
  const began = performance.now();
  const until = began + seconds * 1000;
  const client = async () => {
    while (performance.now() < until) latencies.push(await timed(shot(), agent, performance.now()));
  };
  await Promise.all(Array.from({ length: connections }, client));
  const took = (performance.now() - began) / 1000;
  agent.destroy();
  return { latencies, seconds: took, perSecond: latencies.length / took };
}

/**
 * Sends one every `1 / rate` seconds, whatever became of those before: a slow answer makes those behind it late, and their
 * lateness counts (Tene, "How NOT to Measure Latency").
 */
export async function fixedRate(shot: () => Shot, rate: number, seconds: number): Promise<Volley> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const pending: Promise<number>[] = [];
  const began = performance.now();
  for (let n = 0; n < rate * seconds; n++) {
    const due = began + (n * 1000) / rate;
    const early = due - performance.now();
    if (early > 1) await delay(early);
    pending.push(timed(shot(), agent, due));
  }
  const latencies = await Promise.all(pending);
  const took = (performance.now() - began) / 1000;
  agent.destroy();
  return { latencies, seconds: took, perSecond: latencies.length / took };
}

/** Sends one and reads its whole answer; @returns milliseconds since `due` */
export function timed({ url, method = "GET", headers = {}, body, status }: Shot, agent: Agent, due: number) {
  return new Promise<number>((resolve, reject) => {
    const request = send(url, { method, headers, agent }, (response) => {
      response.on("data", () => {});
      response.on("end", () => {
        if (response.statusCode === status) resolve(performance.now() - due);
        else reject(new Error(`${method} ${url} answered ${response.statusCode}, not ${status}`));
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}
