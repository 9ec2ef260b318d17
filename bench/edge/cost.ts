import { round } from "../statistics.ts";

/**
 * Dollars per million (developers.cloudflare.com, Workers Paid, 2026-08, beyond what the plan includes). A queue message is
 * written, read and deleted. The names are those of `src/worker/observe/meter.ts`. Processor time and storage are not in it.
 */
const PRICE = {
  rows_read: 0.001,
  rows_written: 1,
  r2_a: 4.5,
  r2_b: 0.36,
  queue: 1.2,
  objects: 0.15,
};
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
  const sum = (name: string) => lines.reduce((total, line) => total + count(line[name]), 0) / things;
  // What goes on after an answer is part of its request.
  const invocations = lines.filter(({ event }) => event !== "background").length / things;
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
