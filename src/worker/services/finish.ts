import type { Deps } from "../deps.ts";
import type { Backend } from "../runner/backend.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { release } from "./admit.ts";
import { settleFollowers } from "./followers.ts";
import { pull } from "./pull.ts";
import { toGeneration } from "./view.ts";
import { announce } from "./webhook-delivery.ts";

/** Fails an unfinished generation with a sentence. False when it had already ended. */
export async function failRow(deps: Deps, id: string, code: string, message: string): Promise<boolean> {
  const row = await deps.generations.finish(id, { status: "failed", error: { code, message }, at: deps.now() });
  return reportEnd(deps, row);
}

/** Ends it as canceled and tells the runner, whose answer nobody needs. */
export async function cancelRow(deps: Deps, { id }: GenerationRow): Promise<boolean> {
  const row = await deps.generations.finish(id, { status: "canceled", error: null, at: deps.now() });
  const runner = row?.dispatchedAt ? deps.runners.of(row.runner) : null;
  if (row && runner) deps.background(stop(deps, row, runner));
  return reportEnd(deps, row);
}

/** Ends it at its runner, which frees a place. */
async function stop(deps: Deps, row: GenerationRow, runner: Backend): Promise<void> {
  await runner.cancel(row);
  await pull(deps, runner, 1);
}

/** Ends it as the runner says: canceled there. */
export async function canceledByRunner(deps: Deps, id: string): Promise<boolean> {
  return reportEnd(deps, await deps.generations.finish(id, { status: "canceled", error: null, at: deps.now() }));
}

async function reportEnd(deps: Deps, row: GenerationRow | null): Promise<boolean> {
  if (!row) return false;
  deps.metrics.end(row);
  announce(deps, row.id);
  const generation = toGeneration(row, [], { publicUrl: deps.config.PUBLIC_URL });
  await Promise.all([
    deps.live(row.id).report({ type: "completed", data: generation }),
    release(deps, row, { refund: true }),
    settleFollowers(deps, row.id),
  ]);
  return true;
}
