import type { Deps } from "../deps.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { failRow } from "./finish.ts";

/** How often one generation is begun at all. */
const MAX_ATTEMPTS = 3;
/** A runner that just went down needs a moment to come back. */
const REST_SECONDS = 5;

/** The runner lost it, mostly by being restarted: it is drawn again, but not for ever. */
export async function restart(deps: Deps, row: GenerationRow, dispatchedAt: number): Promise<void> {
  if (row.attempts >= MAX_ATTEMPTS) {
    const message = `The runner stopped ${row.attempts} times while it had this picture. Send it again later.`;
    await failRow(deps, row.id, "runner_lost", message);
    return;
  }
  const now = deps.now();
  const rest = REST_SECONDS * row.attempts;
  const times = { notBefore: now + rest * 1000, deadlineAt: now + deps.config.QUEUE_DEADLINE_SECONDS * 1000 };
  if (!(await deps.generations.requeue(row.id, dispatchedAt, times))) return;
  await deps.live(row.id).report({ type: "status", data: { status: "queued" } });
  await deps.enqueue(row.id, rest);
}
