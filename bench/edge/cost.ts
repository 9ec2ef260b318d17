import { round } from "../statistics.ts";

/**
 * Dollars per million (developers.cloudflare.com, Workers Paid, 2026-08, beyond what the plan includes). A queue message is
 * written, read and deleted. The names are those of `src/worker/observe/meter.ts` and `objects.ts`. Processor time and storage
 * are not in it.
 */
const PRICE = {
  rows_read: 0.001,
  rows_written: 1,
  r2_a: 4.5,
  r2_b: 0.36,
  queue: 1.2,
  objects: 0.15,
  /** Of objects' own SQLite, a `put` or `setAlarm` being one (developers.cloudflare.com/durable-objects/platform/pricing). */
  object_rows: 1,
  /** Milliseconds that an object works, at 128 MB: 12.50 a million GB-s (the same page); idle ones cost none. */
  object_ms: 12.5 * 0.128e-3,
};
/** An alarm is a request to its object; what an object or a request does besides has lines that are no invocations. */
const NO_INVOCATIONS = ["background", "alarm", "object"];
const REQUEST = 0.3;

type Line = Record<string, unknown>;

export interface Cost {
  /** Operations for one, on average. */
  operations: Record<string, number>;
  dollars_per_million: number;
}

/** What `things` cost that left these lines: every request, message and alarm has one with its operations. */
export function costOf(lines: Line[], things: number): Cost {
  // A batch's line says which queue it came from where others count messages.
  const count = (value: unknown) => (typeof value === "number" ? value : 0);
  const alarms = lines.filter(({ event }) => event === "alarm").length;
  const sum = (name: string) =>
    (lines.reduce((total, line) => total + count(line[name]), 0) + (name === "objects" ? alarms : 0)) / things;
  const invocations = lines.filter(({ event }) => !NO_INVOCATIONS.includes(String(event))).length / things;
  const names = Object.keys(PRICE) as (keyof typeof PRICE)[];
  const dollars = names.reduce((total, name) => total + PRICE[name] * sum(name), REQUEST * invocations);
  return {
    operations: Object.fromEntries([
      ["invocations", round(invocations, 2)],
      ["d1", round(sum("d1"), 2)],
      ...names.map((name) => [name, round(sum(name), 2)]),
    ]),
    dollars_per_million: round(dollars, 2),
  };
}

export const costRow = (name: string, { operations, dollars_per_million }: Cost) =>
  `| ${name} | ${Object.entries(operations)
    .map(([operation, count]) => `${count} ${operation}`)
    .join(", ")} | $${dollars_per_million} |`;
