/** What is known of a runner's health; times are milliseconds since 1970. */
export interface Health {
  /** Calls in a row that found it ill. */
  failures: number;
  openUntil: number | null;
  probeUntil: number | null;
}

/** So many failures in a row open the circuit. */
export const OPENS_AT = 5;
const FIRST_REST_MS = 5_000;
const LONGEST_REST_MS = 30_000;
/** Longer than a call to a runner may take: after this another may probe. */
export const PROBE_MS = 15_000;

/**
 * closed: everybody may call; open: nobody, until `at`; half-open: one caller may try (Nygard, Release It!, "Circuit
 * Breaker").
 */
export type Circuit = { state: "closed" } | { state: "open"; at: number } | { state: "half-open" };

export function circuitOf({ openUntil, probeUntil }: Health, now: number): Circuit {
  if (openUntil === null) return { state: "closed" };
  const at = Math.max(openUntil, probeUntil ?? 0);
  return at > now ? { state: "open", at } : { state: "half-open" };
}

/** How long nothing is sent after so many failures in a row; null: the circuit stays closed. */
export function restAfter(failures: number): number | null {
  if (failures < OPENS_AT) return null;
  return Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(failures - OPENS_AT, 10));
}
