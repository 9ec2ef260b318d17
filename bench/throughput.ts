import { performance } from "node:perf_hooks";
import { round } from "./statistics.ts";
import { draw, type Target } from "./target.ts";

export interface Throughput {
  concurrent: number;
  images: number;
  seconds: number;
  images_per_minute: number;
}

/** Keeps `concurrent` requests open until `images` pictures are there. */
export async function measureThroughput(target: Target, concurrent: number, images: number): Promise<Throughput> {
  for (let seed = 0; seed < Math.min(concurrent, 4); seed++) await draw(target, seed);
  const began = performance.now();
  let next = 0;
  const client = async () => {
    while (next < images) await draw(target, 2000 + next++);
  };
  await Promise.all(Array.from({ length: concurrent }, client));
  const seconds = (performance.now() - began) / 1000;
  return { concurrent, images, seconds: round(seconds, 2), images_per_minute: round((images / seconds) * 60, 1) };
}

/** @param baseline images per minute of diffusers, one at a time, before and after the requests above */
export const throughputTable = (rows: Throughput[], baseline: number[]) => {
  const mean = baseline.reduce((sum, value) => sum + value, 0) / baseline.length;
  return `| images per minute | | against diffusers |
|---|---|---|
| diffusers, one at a time (before: ${baseline[0]}, after: ${baseline[1]}) | ${round(mean, 1)} | 1.00 |
${rows
  .map(
    ({ concurrent, images_per_minute }) =>
      `| Vignette, ${concurrent} concurrent | ${images_per_minute} | ${(images_per_minute / mean).toFixed(2)} |`,
  )
  .join("\n")}`;
};
