import type { Deps } from "../deps.ts";
import type { Backend } from "../runner/backend.ts";
import { CLAIM_MS, hand } from "./dispatch.ts";
import { currentModels } from "./models.ts";

/**
 * A place has come free at a runner: what has waited longest for one of its models takes it. So a full runner is kept
 * full in the order of the line, and those that wait need not ask again and again.
 *
 * @param most how many to try; two for one freed place, so that a runner that has emptied fills up again
 */
export async function pull(deps: Deps, runner: Backend, most: number): Promise<void> {
  try {
    const { runners } = await currentModels(deps);
    const models = [...runners].filter(([, able]) => able.includes(runner)).map(([id]) => id);
    for (let taken = 0; taken < most; taken++) {
      const now = deps.now();
      const row = await deps.generations.claimOldest(models, now, now + CLAIM_MS);
      if (!row) return;
      const handed = await hand(deps, row);
      // One answer that broke off says nothing about the next; a full runner does, and one whose circuit is open.
      if (!handed.done && (handed.busy || handed.retryAfter > 0)) return;
    }
  } catch (error) {
    // Whoever waits has a message of its own.
    console.error(JSON.stringify({ event: "pull_failed", runner: runner.name, error: String(error) }));
  }
}
