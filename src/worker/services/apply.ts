import { isTerminal } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import type { Backend } from "../runner/backend.ts";
import { errorSentence, type Prediction } from "../runner/prediction.ts";
import { previewsOf } from "../runner/previews.ts";
import { stepsFromLogs } from "../runner/progress.ts";
import { complete } from "./complete.ts";
import { canceledByRunner, failRow } from "./finish.ts";
import { restart } from "./restart.ts";

const RUNNER_TROUBLE = new Set(["shutting_down", "runner_defunct"]);

/** Whether it failed for its runner's sake, which says nothing about the request: another try may well succeed. */
export function isRunnerTrouble({ status, error_code }: Prediction): boolean {
  return status === "failed" && RUNNER_TROUBLE.has(error_code ?? "");
}

/**
 * Brings a generation to what its prediction says, wherever that was learned: callback, poll or the answer to PUT.
 * Monotonic: news of an earlier state never undoes a later one; repeats change nothing.
 *
 * @throws {import("../refusal.ts").Refusal} output_unavailable when the images cannot be fetched yet
 */
export async function apply(deps: Deps, id: string, prediction: Prediction, runner: Backend): Promise<void> {
  switch (prediction.status) {
    case "starting":
      return;
    case "processing":
      return progressed(deps, id, prediction);
    case "succeeded":
      return complete(deps, id, prediction, runner);
    case "failed":
      return failed(deps, id, prediction);
    case "canceled":
      await canceledByRunner(deps, id);
  }
}

async function failed(deps: Deps, id: string, prediction: Prediction): Promise<void> {
  const { error, error_code } = prediction;
  if (!isRunnerTrouble(prediction)) {
    await failRow(deps, id, error_code ?? "runner_failed", errorSentence(error));
    return;
  }
  const row = await deps.generations.load(id);
  // One that nobody has is in line again already, or is just being handed on, which its next check will see the end of.
  if (row && row.dispatchedAt !== null && !isTerminal(row.status)) await restart(deps, row, row.dispatchedAt);
}

async function progressed(deps: Deps, id: string, { logs, output }: Prediction): Promise<void> {
  const live = deps.live(id);
  const at = stepsFromLogs(logs);
  const previews = previewsOf(output).map((preview) => ({ ...preview, step: at?.step ?? 0 }));
  const status = at ? await live.steps(at.step, at.steps, previews) : await live.status();
  if (status === "running" || isTerminal(status)) return;
  const now = deps.now();
  const begun = await deps.generations.running(id, now, now + deps.config.RUN_DEADLINE_SECONDS * 1000);
  if (begun.length === 0) return;
  await Promise.all(begun.map((row) => deps.live(row.id).report({ type: "status", data: { status: "running" } })));
  if (at) await live.steps(at.step, at.steps, previews);
}
