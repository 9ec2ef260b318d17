import { median, quantile, round } from "./statistics.ts";
import { draw, type Sample, type Target } from "./target.ts";

const WARM_UP = 3;

/** One picture at a time through the whole of Vignette. Milliseconds. */
export interface Latency {
  images: number;
  total_ms: { p50: number; p95: number };
  /** Total minus the runner's predict time: HTTP, queue, dispatch, callback, storage, download. */
  edge_ms: { p50: number; p95: number };
  samples: Sample[];
}

/** @param images at least 20, for the 95th percentile to mean something */
export async function measureLatency(target: Target, images = 24): Promise<Latency> {
  for (let seed = 0; seed < WARM_UP; seed++) await draw(target, seed);
  const samples: Sample[] = [];
  for (let seed = 0; seed < images; seed++) samples.push(await draw(target, 1000 + seed));
  const spread = (values: number[]) => ({ p50: round(median(values), 1), p95: round(quantile(values, 0.95), 1) });
  return {
    images,
    total_ms: spread(samples.map(({ totalMs }) => totalMs)),
    edge_ms: spread(samples.map(({ totalMs, runMs }) => totalMs - runMs)),
    samples: samples.map(({ totalMs, runMs }) => ({ totalMs: round(totalMs, 1), runMs })),
  };
}

export const latencyTable = ({
  images,
  total_ms,
  edge_ms,
}: Latency) => `| one picture, warm (${images} measured) | p50 | p95 |
|---|---|---|
| POST to image bytes | ${total_ms.p50} ms | ${total_ms.p95} ms |
| of which the edge (total minus the runner's predict time) | ${edge_ms.p50} ms | ${edge_ms.p95} ms |`;
