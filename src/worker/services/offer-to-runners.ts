import type { Deps } from "../deps.ts";
import type { Backend, PredictionInput } from "../runner/backend.ts";
import { circuitOf, PROBE_MS } from "../runner/breaker.ts";
import type { Prediction } from "../runner/prediction.ts";
import { DEFAULT_RUNNER } from "../runner/settings.ts";
import { currentModels, healthOf, noteHealth } from "./models.ts";

export type Offered =
  /** `prediction` null: the answer was lost and it may have begun; its callback will tell. */
  | { kind: "taken"; runner: Backend; prediction: Prediction | null }
  | { kind: "rejected"; detail: string }
  /** Nobody has room; `retryAfter`: the least seconds until another try makes sense; `busy`: one is well, and at work. */
  | { kind: "refused"; retryAfter: number; busy: boolean };

/** Offers a generation to the runners that draw its model, the preferred one first, until one takes it. */
export async function offerToRunners(deps: Deps, id: string, input: PredictionInput): Promise<Offered> {
  const catalogue = await currentModels(deps);
  let retryAfter = Number.POSITIVE_INFINITY;
  let busy = false;
  for (const runner of catalogue.runners.get(input.model) ?? []) {
    const health = healthOf(catalogue, runner.name);
    const now = deps.now();
    const circuit = circuitOf(health, now);
    if (circuit.state === "open") {
      retryAfter = Math.min(retryAfter, Math.ceil((circuit.at - now) / 1000));
      continue;
    }
    if (circuit.state === "half-open" && !(await deps.runnerRows.probe(runner.name, now, now + PROBE_MS))) {
      retryAfter = Math.min(retryAfter, 1);
      continue;
    }
    const reply = await runner.create(id, input, callbackUrl(deps, runner, id));
    const ill = reply.kind === "unavailable";
    if (ill || health.failures > 0) await note(deps, runner.name, ill);
    if (reply.kind === "prediction") return { kind: "taken", runner, prediction: reply.prediction };
    if (ill && reply.uncertain && !runner.ownIds) return { kind: "taken", runner, prediction: null };
    if (reply.kind === "rejected" || reply.kind === "missing") return { kind: "rejected", detail: reply.detail };
    retryAfter = Math.min(retryAfter, reply.retryAfter ?? 0);
    busy ||= reply.kind === "busy";
  }
  return { kind: "refused", retryAfter: Number.isFinite(retryAfter) ? retryAfter : 0, busy };
}

async function note(deps: Deps, name: string, ill: boolean): Promise<void> {
  const health = ill ? await deps.runnerRows.failed(name, deps.now()) : await deps.runnerRows.recovered(name);
  noteHealth(deps, name, health ?? null);
  if (health?.openUntil) console.warn(JSON.stringify({ event: "circuit_open", runner: name, ...health }));
}

function callbackUrl({ config }: Deps, { name }: Backend, id: string): string {
  const url = `${config.PUBLIC_URL}/internal/runner/${id}`;
  return name === DEFAULT_RUNNER ? url : `${url}?runner=${encodeURIComponent(name)}`;
}
