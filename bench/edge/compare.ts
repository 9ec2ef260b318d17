import { median, quantile, round } from "../statistics.ts";
import { closedLoop, fixedRate, type Shot } from "./load.ts";
import type { Rig } from "./rig.ts";

const CONNECTIONS = 8;
/** Many short ones in turns: what else the machine does then falls on both sides alike. */
export const ROUNDS = Number(process.env.ROUNDS ?? 20);
const ROUND_SECONDS = 1;
/** Of the slower route's throughput: well below saturation. */
const LOAD = 0.4;

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

/** Measures both sides in turns. A side is one request again and again, or makes the next one. */
export async function compare(rig: Rig, ours: Shot | (() => Shot), bare: Shot | (() => Shot)): Promise<Comparison> {
  const sideOf = (shot: Shot | (() => Shot)) => ({
    shot: typeof shot === "function" ? shot : () => shot,
    rounds: [] as number[],
    cpu: [] as number[],
    steady: [] as number[],
  });
  const sides = { ours: sideOf(ours), bare: sideOf(bare) };
  for (const { shot } of Object.values(sides)) await closedLoop(shot, CONNECTIONS, 1);
  for (let round = 0; round < ROUNDS; round++)
    for (const side of Object.values(sides)) {
      const before = await rig.cpu();
      const { perSecond, latencies } = await closedLoop(side.shot, CONNECTIONS, ROUND_SECONDS);
      side.rounds.push(perSecond);
      side.cpu.push((((await rig.cpu()) - before) * 1000) / latencies.length);
    }
  const rate = Math.max(5, Math.floor(LOAD * Math.min(median(sides.ours.rounds), median(sides.bare.rounds))));
  for (let round = 0; round < ROUNDS; round++)
    for (const { shot, steady } of Object.values(sides))
      steady.push(...(await fixedRate(shot, rate, ROUND_SECONDS)).latencies);
  const [one, other] = [summary(sides.ours), summary(sides.bare)];
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

function summary({ rounds, cpu, steady }: { rounds: number[]; cpu: number[]; steady: number[] }): Side {
  return {
    perSecond: round(median(rounds), 1),
    cpuMs: round(median(cpu), 3),
    p50: round(median(steady), 2),
    p99: round(quantile(steady, 0.99), 2),
  };
}

export const comparisonRow = (name: string, { ours, bare, rate, ...ratio }: Comparison) =>
  `| ${name}: requests per second, ${CONNECTIONS} connections | ${ours.perSecond} | ${bare.perSecond} | ${ratio.throughput_ratio} |
| processor time of workerd for one | ${ours.cpuMs} ms | ${bare.cpuMs} ms | ${ratio.cpu_ratio} |
| p50 at ${rate} per second | ${ours.p50} ms | ${bare.p50} ms | ${ratio.p50_ratio} |
| p99 at ${rate} per second | ${ours.p99} ms | ${bare.p99} ms | ${ratio.p99_ratio} |`;
