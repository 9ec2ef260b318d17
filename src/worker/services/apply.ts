import { isTerminal } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { errorSentence, type Prediction } from "../runner/prediction.ts";
import { stepsFromLogs } from "../runner/progress.ts";
import { complete } from "./complete.ts";
import { canceledByRunner, failRow } from "./finish.ts";

/**
 * Brings a generation to what its prediction says, wherever that was learned: callback, poll or the answer to PUT.
 * Monotonic: news of an earlier state never undoes a later one; repeats change nothing.
 *
 * @throws {import("../refusal.ts").Refusal} output_unavailable when the images cannot be fetched yet
 */
export async function apply(deps: Deps, id: string, prediction: Prediction): Promise<void> {
  switch (prediction.status) {
    case "starting":
      return;
    case "processing":
      return progressed(deps, id, prediction.logs);
    case "succeeded":
      return complete(deps, id, prediction);
    case "failed":
      await failRow(deps, id, "runner_failed", errorSentence(prediction.error));
      return;
    case "canceled":
      await canceledByRunner(deps, id);
  }
}

async function progressed(deps: Deps, id: string, logs: string): Promise<void> {
  const live = deps.live(id);
  const at = stepsFromLogs(logs);
  const status = at ? await live.steps(at.step, at.steps) : await live.status();
  if (status === "running" || isTerminal(status)) return;
  const now = deps.now();
  const row = await deps.generations.running(id, now, now + deps.config.RUN_DEADLINE_SECONDS * 1000);
  if (!row) return;
  await live.report({ type: "status", data: { status: "running" } });
  if (at) await live.steps(at.step, at.steps);
}
