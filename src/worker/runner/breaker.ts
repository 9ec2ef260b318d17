/** What all isolates know of a runner's circuit; times are milliseconds since 1970. */
export interface Health {
  /** Rounds in a row that found it ill: the one that opened the circuit, and each round of probes since. */
  failures: number;
  openUntil: number | null;
  /** Calls that were let through since the rest was over. */
  probes: number;
  probeUntil: number | null;
}

/** How long nothing is sent after each round that found it ill, milliseconds; the last one repeats. */
export const RESTS_MS = [5_000, 10_000, 20_000, 30_000] as const;
/** So many calls of a half-open circuit, one after the other, must find it ill before it rests again. */
export const PROBES = 3;
/** Longer than a call to a runner may take: after this another may probe. */
export const PROBE_MS = 15_000;

/**
 * closed: everybody may call; open: nobody, until `at`; half-open: one caller at a time may try, and does while it is
 * `probed` (Nygard, Release It!, "Circuit Breaker").
 */
export type Circuit = { state: "closed" } | { state: "open"; at: number } | { state: "half-open"; probed: boolean };

export function circuitOf({ openUntil, probeUntil }: Health, now: number): Circuit {
  if (openUntil === null) return { state: "closed" };
  if (openUntil > now) return { state: "open", at: openUntil };
  return { state: "half-open", probed: (probeUntil ?? 0) > now };
}

const WINDOW_MS = 30_000;
const SLICE_MS = 3_000;
const LEAST_CALLS = 10;
/**
 * High, because a call that fails costs little here: it is made again later, and whoever stands in is asked at once. A
 * runner that fails half of its calls still draws half as much as a well one; one that rests draws nothing.
 */
const ILL_SHARE = 0.75;

/**
 * One isolate's calls to a runner in the last 30 s. A share of them decides, not a number in a row, and not before there are
 * enough to say something; both as in resilience4j's time-based window and Polly's sampling.
 */
export class CallWindow {
  #slices: { since: number; calls: number; ill: number }[] = [];

  /** Notes how a call went; answers whether it is time to send nothing more. @param now milliseconds since 1970 */
  note(ill: boolean, now: number): boolean {
    const since = now - (now % SLICE_MS);
    this.#slices = this.#slices.filter((slice) => slice.since > now - WINDOW_MS);
    let slice = this.#slices.at(-1);
    if (slice?.since !== since) {
      slice = { since, calls: 0, ill: 0 };
      this.#slices.push(slice);
    }
    slice.calls++;
    if (ill) slice.ill++;
    return ill && this.#isIll();
  }

  /** Forgets all calls: the circuit has opened, or closed again. */
  clear(): void {
    this.#slices = [];
  }

  #isIll(): boolean {
    const sum = (of: "calls" | "ill") => this.#slices.reduce((total, slice) => total + slice[of], 0);
    const calls = sum("calls");
    return calls >= LEAST_CALLS && sum("ill") >= ILL_SHARE * calls;
  }
}
