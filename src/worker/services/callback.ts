import { idPattern } from "../../contract/ids.ts";
import type { Deps } from "../deps.ts";
import { invalid, Refusal } from "../refusal.ts";
import type { Backend } from "../runner/backend.ts";
import { isOver, Prediction } from "../runner/prediction.ts";
import { DEFAULT_RUNNER } from "../runner/settings.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { apply, isRunnerTrouble } from "./apply.ts";
import { pull } from "./pull.ts";

/** A runner's own news about a prediction. Unknown and deleted generations are no fault of the runner's. */
export async function receiveCallback(
  deps: Deps,
  { id, runner: name = DEFAULT_RUNNER }: { id: string; runner?: string | undefined },
  headers: Headers,
  body: string,
): Promise<void> {
  const runner = deps.runners.of(name);
  if (!runner) throw new Refusal("not_found", "There is no runner of this name here.");
  const verdict = await runner.verify(headers, body, deps.now());
  if (!verdict.valid) throw new Refusal("signature_invalid", verdict.reason);
  const parsed = Prediction.safeParse(parseJson(body));
  if (!parsed.success) throw new Refusal("invalid_request", "The body is not a prediction.");
  const prediction = parsed.data;
  // What vouches for the body says nothing about the path, which could be another generation's.
  if (!idPattern("gen").test(id) || (runner.ownIds && prediction.id !== id))
    throw invalid([{ pointer: "#/id", detail: "The prediction's id is not the one in the URL." }]);
  if (!(await isCurrent(deps, id, prediction, runner))) return;
  await apply(deps, id, prediction, runner);
  if (isOver(prediction)) deps.background(pull(deps, runner, 2));
}

/**
 * Whether the news are of the prediction that stands for this generation. Of one that does not - a create whose answer
 * was lost began all the same and was repeated, or it was canceled before its name was known - the runner is told to stop.
 */
async function isCurrent(deps: Deps, id: string, prediction: Prediction, runner: Backend): Promise<boolean> {
  // Under our own ids all predictions are the generation's, and progress must not cost a trip to D1.
  if (runner.ownIds && (prediction.status === "starting" || prediction.status === "processing")) return true;
  const row = await deps.generations.load(id);
  if (!row) return false;
  const same = row.runner === null || deps.runners.of(row.runner)?.name === runner.name;
  if (runner.ownIds) return same && !isOfAnEarlierDispatch(prediction, row);
  if (same && row.predictionId === prediction.id) return true;
  if (same && row.predictionId === null && (await deps.generations.adopt(id, runner.name, prediction.id))) return true;
  deps.background(runner.cancel({ id, predictionId: prediction.id }));
  return false;
}

/**
 * Whether it tells once more of a runner that went down before the present dispatch: not another death. Where the clocks
 * differ by more than the rest before it, the next check's answer, which is always of the present, makes it good.
 */
function isOfAnEarlierDispatch(prediction: Prediction, { dispatchedAt }: GenerationRow): boolean {
  const endedAt = Date.parse(prediction.completed_at ?? "");
  return isRunnerTrouble(prediction) && dispatchedAt !== null && endedAt < dispatchedAt;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("invalid_json", "The body is not JSON.");
  }
}
