import { retryAfter } from "../runner/safe-fetch.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
/** Seconds before each attempt, counted from the one before (Standard Webhooks, "Deliverability and reliability"). */
export const SCHEDULE = [
  0,
  5,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
] as const;
const JITTER = 0.1;

/**
 * When to try again after `attempts` attempts, milliseconds since 1970; null when they are used up. A receiver's
 * `Retry-After` can make it later, up to a day.
 * @param random 0 to 1, below 1
 */
export function nextAttempt(attempts: number, now: number, random: number, wanted: string | null): number | null {
  const seconds = SCHEDULE[attempts];
  if (seconds === undefined) return null;
  const asked = Math.min(retryAfter(wanted, now) ?? 0, 24 * HOUR);
  return now + Math.round(Math.max(seconds * (1 + JITTER * random), asked) * 1000);
}
