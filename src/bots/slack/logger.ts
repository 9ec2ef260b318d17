import { type Logger, LogLevel } from "@slack/bolt";
import { nameOf } from "./place.ts";

/** Bolt's own words may hold what people wrote: only that it spoke is told. */
export function quiet(log: (event: Record<string, unknown>) => void): Logger {
  const nothing = () => {};
  const tell = (level: string) => (first: unknown) =>
    log({ event: "bolt", level, error: first instanceof Error ? nameOf(first) : "said" });
  return {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: tell("error"),
    setLevel: nothing,
    getLevel: () => LogLevel.ERROR,
    setName: nothing,
  };
}
