import type { Deps } from "../deps.ts";
import { CallWindow, circuitOf, PROBE_MS, RESTS_MS } from "../runner/breaker.ts";
import { type Catalogue, healthOf, knownHealth, noteHealth } from "./models.ts";

/** How a call may go to a runner: as any other, or as the one that tries whether it is well again. */
export type Entry = { kind: "call" | "probe" } | { kind: "shut"; retryAfter: number };

/**
 * What this isolate's calls came to. Only openings and closings are shared, so that a call to a well runner, and one that
 * fails now and then, costs no trip to D1.
 */
const windows = new WeakMap<object, Map<string, CallWindow>>();

/** Asks a runner's circuit breaker for a call; `retryAfter`: seconds until asking again makes sense. */
export async function enter(deps: Deps, catalogue: Catalogue, name: string): Promise<Entry> {
  const now = deps.now();
  const circuit = circuitOf(healthOf(catalogue, name), now);
  switch (circuit.state) {
    case "closed":
      return { kind: "call" };
    case "open":
      return { kind: "shut", retryAfter: Math.ceil((circuit.at - now) / 1000) };
    case "half-open":
      return !circuit.probed && (await deps.runnerRows.probe(name, now, now + PROBE_MS))
        ? { kind: "probe" }
        : { kind: "shut", retryAfter: 1 };
  }
}

/** Tells the circuit breaker how the call went. */
export async function leave(
  deps: Deps,
  name: string,
  { kind, ill }: { kind: Entry["kind"]; ill: boolean },
): Promise<void> {
  const window = windowOf(deps, name);
  const now = deps.now();
  if (kind === "probe") {
    window.clear();
    const health = ill ? await deps.runnerRows.probeFailed(name, now) : await deps.runnerRows.recovered(name);
    noteHealth(deps, name, health ?? null);
    tell(ill ? "circuit_probe_failed" : "circuit_closed", name, health?.openUntil);
    return;
  }
  // What was under way when the circuit opened says nothing new.
  if (knownHealth(deps, name).openUntil !== null || !window.note(ill, now)) return;
  window.clear();
  // Known here before it is known everywhere, which takes a moment.
  noteHealth(deps, name, { failures: 1, openUntil: now + RESTS_MS[0], probes: 0, probeUntil: null });
  const health = await deps.runnerRows.open(name, now);
  noteHealth(deps, name, health);
  tell("circuit_open", name, health.openUntil);
}

function tell(event: string, runner: string, openUntil?: number | null): void {
  console.warn(JSON.stringify({ event, runner, open_until: openUntil }));
}

function windowOf({ config }: Deps, name: string): CallWindow {
  const known = windows.get(config) ?? new Map<string, CallWindow>();
  windows.set(config, known);
  const window = known.get(name) ?? new CallWindow();
  known.set(name, window);
  return window;
}
