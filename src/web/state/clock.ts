import { timeOf } from "../../contract/ids.ts";

/** A difference that a request's way explains says nothing about the clocks. */
const TOLERANCE_MS = 5_000;

let offset = 0;

/** Learns from a response how far the visitor's clock is off: every answer's request id tells when the edge made it. */
export function observe(response: Response, now = Date.now()): void {
  const at = timeOf(response.headers.get("X-Request-Id") ?? "");
  if (!Number.isNaN(at)) offset = Math.abs(at - now) > TOLERANCE_MS ? at - now : 0;
}

/** Milliseconds since 1970 by the edge's clock, in which all of its times are told. */
export function edgeNow(): number {
  return Date.now() + offset;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS: [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "3 minutes ago", "in 2 hours", "just now". */
export function ago(time: string, now = edgeNow()): string {
  const seconds = (Date.parse(time) - now) / 1000;
  for (const [unit, size] of STEPS)
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  return "just now";
}

const absolute = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
/** "Nov 24, 2026, 3:04 PM" in the visitor's time zone. */
export const at = (time: string): string => absolute.format(new Date(time));
