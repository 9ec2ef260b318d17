import { isTerminal } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { Backend } from "../runner/backend.ts";
import type { Prediction } from "../runner/prediction.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { apply } from "./apply.ts";
import { dispatch, justRefused, waitedTooLong } from "./dispatch.ts";
import { failRow } from "./finish.ts";
import { settleFollowers } from "./followers.ts";
import { pull } from "./pull.ts";
import { restart } from "./restart.ts";
import { toGeneration } from "./view.ts";

/** How often an unfinished generation is looked after. */
export const CHECK_MS = 20_000;
/** The same for one that waits, at first: it has its message in the queue, and a line moves by itself, with the cron behind it. */
export const WAITING_MS = 5 * 60_000;
/** After this much silence a runner that cannot be asked is taken to have lost a picture. */
const SILENCE_MS = 60_000;
/** How many unfinished generations one sweep looks at, and how many at once. */
const SWEEP_LIMIT = 200;
const SWEEP_PARALLEL = 5;

/**
 * Looks after one generation when nothing else does: starts what waits, asks the runner about what it has, ends what
 * is over time, repeats an end that nobody was told. Answers when to look again, null when it is over.
 */
export async function check(deps: Deps, id: string): Promise<number | null> {
  const row = await deps.generations.load(id);
  if (!row) return null;
  if (isTerminal(row.status)) {
    const images = await deps.images.of([id]);
    const generation = toGeneration(row, images.get(id) ?? [], { publicUrl: deps.config.PUBLIC_URL });
    await deps.live(id).report({ type: "completed", data: generation });
    return null;
  }
  if (row.leaderId !== null) await settleFollowers(deps, row.leaderId);
  else if (row.dispatchedAt === null) await wait(deps, row);
  else await inspect(deps, row, row.dispatchedAt);
  const now = deps.now();
  const next = now + (row.dispatchedAt === null ? Math.max(WAITING_MS, now - row.createdAt) : CHECK_MS);
  return row.deadlineAt > now ? Math.min(next, row.deadlineAt) : next;
}

/** Offers it to the runners, unless they have just said that they have no room. */
async function wait(deps: Deps, { id, deadlineAt }: GenerationRow): Promise<void> {
  if (deps.now() >= deadlineAt || !justRefused(deps)) await dispatch(deps, id);
}

/** The cron's net under everything: an object whose alarm was lost is found here. */
export async function sweep(deps: Deps): Promise<void> {
  const ids = await deps.generations.unfinished(deps.now() - 2 * CHECK_MS, SWEEP_LIMIT);
  for (let i = 0; i < ids.length; i += SWEEP_PARALLEL) {
    await Promise.allSettled(ids.slice(i, i + SWEEP_PARALLEL).map((id) => check(deps, id)));
  }
}

async function inspect(deps: Deps, row: GenerationRow, dispatchedAt: number): Promise<void> {
  const { id } = row;
  const runner = deps.runners.of(row.runner);
  // A runner that is no longer in the configuration has lost it too.
  if (!runner) return restart(deps, row, dispatchedAt);
  const reply = await runner.get(row);
  if (reply.kind === "missing") return restart(deps, row, dispatchedAt);
  if (reply.kind === "silent" && (await isLost(deps, row, dispatchedAt, runner)))
    return restart(deps, row, dispatchedAt);
  if (reply.kind === "prediction" && (await applied(deps, row, reply.prediction, runner)))
    return deps.background(pull(deps, runner, 2));
  if (deps.now() < row.deadlineAt) return;
  if (row.status === "queued") await failRow(deps, id, "queue_timeout", waitedTooLong(deps));
  else await failRow(deps, id, "run_timeout", overTime(deps, reply.kind === "prediction"));
  deps.background(runner.cancel(row));
}

/**
 * Whether a runner that cannot be asked about it has it no longer: a healthy one tells of every picture's progress, so a
 * long silence means that its process, or the answer to the create, was lost.
 */
async function isLost(deps: Deps, row: GenerationRow, dispatchedAt: number, runner: Backend): Promise<boolean> {
  const heardAt = Math.max(dispatchedAt, (await deps.live(row.id).heardAt()) ?? 0);
  return deps.now() - heardAt >= SILENCE_MS && (await runner.ready());
}

/** Whether the news ended the generation. */
async function applied(deps: Deps, { id }: GenerationRow, prediction: Prediction, runner: Backend): Promise<boolean> {
  try {
    await apply(deps, id, prediction, runner);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return false;
  }
  const row = await deps.generations.load(id);
  return !row || isTerminal(row.status);
}

function overTime(deps: Deps, answering: boolean): string {
  const limit = `within ${deps.config.RUN_DEADLINE_SECONDS} s`;
  return answering
    ? `The runner did not finish this picture ${limit}. Ask for fewer steps or a smaller picture.`
    : `The runner stopped answering and did not finish this picture ${limit}. Send it again later.`;
}
