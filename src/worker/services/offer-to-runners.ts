import type { Deps } from "../deps.ts";
import type { Backend, PredictionInput } from "../runner/backend.ts";
import type { Prediction } from "../runner/prediction.ts";
import { DEFAULT_RUNNER } from "../runner/settings.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { enter, leave } from "./circuit.ts";
import { currentModels } from "./models.ts";

export type Offered =
  /** `prediction` null: the answer was lost and it may have begun; its callback will tell. */
  | { kind: "taken"; runner: Backend; prediction: Prediction | null }
  | { kind: "rejected"; detail: string }
  /** Nobody has room; `retryAfter`: the least seconds until another try makes sense; `busy`: one is well, and at work. */
  | { kind: "refused"; retryAfter: number; busy: boolean };

/** Offers a generation to the runners that draw its model, the preferred one first, until one takes it. */
export async function offerToRunners(
  deps: Deps,
  { id, accountId }: Pick<GenerationRow, "id" | "accountId">,
  input: PredictionInput,
): Promise<Offered> {
  const catalogue = await currentModels(deps);
  let retryAfter = Number.POSITIVE_INFINITY;
  let busy = false;
  for (const runner of catalogue.runners.get(input.model) ?? []) {
    const entry = await enter(deps, catalogue, runner.name);
    if (entry.kind === "shut") {
      retryAfter = Math.min(retryAfter, entry.retryAfter);
      continue;
    }
    const reply = await runner.create(id, input, callbackUrl(deps, runner, id), accountId);
    const ill = reply.kind === "unavailable";
    await leave(deps, runner.name, { kind: entry.kind, ill });
    if (reply.kind === "prediction") return { kind: "taken", runner, prediction: reply.prediction };
    if (ill && reply.uncertain && !runner.ownIds) return { kind: "taken", runner, prediction: null };
    if (reply.kind === "rejected" || reply.kind === "missing") return { kind: "rejected", detail: reply.detail };
    retryAfter = Math.min(retryAfter, reply.retryAfter ?? 0);
    busy ||= reply.kind === "busy";
  }
  return { kind: "refused", retryAfter: Number.isFinite(retryAfter) ? retryAfter : 0, busy };
}

function callbackUrl({ config }: Deps, { name }: Backend, id: string): string {
  const url = `${config.PUBLIC_URL}/internal/runner/${id}`;
  return name === DEFAULT_RUNNER ? url : `${url}?runner=${encodeURIComponent(name)}`;
}
