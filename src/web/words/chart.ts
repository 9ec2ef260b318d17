import type { UsageDay } from "../../contract/usage.ts";

const DAY_MS = 86_400_000;

/** Every day of the window, oldest first: the API leaves out those without use. @param now milliseconds since 1970 */
export function daysOf(data: UsageDay[], count: number, now: number): UsageDay[] {
  const known = new Map(data.map((day) => [day.date, day]));
  return Array.from({ length: count }, (_, index) => {
    const date = new Date(now - (count - 1 - index) * DAY_MS).toISOString().slice(0, 10);
    return known.get(date) ?? { date, generations: 0, images: 0, cached: 0 };
  });
}

/** A round number that is not below any value: 1, 2 or 5 times a power of ten. */
export function ceilingOf(values: number[]): number {
  const most = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most) ?? most;
}
