import { isTerminal } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import type { Backend } from "../runner/backend.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { apply } from "./apply.ts";
import { failRow } from "./finish.ts";
import { jitter } from "./jitter.ts";
import { offerToRunners } from "./offer-to-runners.ts";

/** A dispatcher that died gives its row free after this; longer than any call to the runner may take. */
export const CLAIM_MS = 30_000;

/** For how long a refusal holds for others too. */
const REFUSAL_MS = 2_000;
const refusedAt = new WeakMap<object, number>();

export type Dispatched =
  /** `runner`: who took it just now. */
  | { done: true; runner?: Backend }
  /** `retryAfter`: the least seconds until another try makes sense; `busy`: a runner is at work, and frees a place soon. */
  | { done: false; retryAfter: number; busy: boolean };

/**
 * Offers a new generation to the runner while its maker's answer is on the way, then opens its live object, whose
 * creation costs more than the request to the runner. The queue is for what no runner takes at once: going through it
 * always would add its delivery time to every picture. Should this isolate die here, the
 * message that went out with the row finds it.
 */
export async function offer(deps: Deps, row: GenerationRow, { inLine }: { inLine: boolean }): Promise<void> {
  const result = await (inLine ? giveBack(deps, row.id) : hand(deps, row)).catch((error): Dispatched => {
    console.error(JSON.stringify({ event: "offer_failed", generation: row.id, error: String(error) }));
    return { done: false, retryAfter: 0, busy: false };
  });
  const waits = result.done ? null : deps.enqueue(row.id, result.retryAfter + jitter(1, deps.random, result));
  await Promise.all([waits, deps.live(row.id).open({ waits: !result.done })]);
}

/** Hands one waiting generation to the runner; safe to call at any time, for any id, any number of times. */
export async function dispatch(deps: Deps, id: string): Promise<Dispatched> {
  const now = deps.now();
  const row = await deps.generations.claim(id, now, now + CLAIM_MS);
  if (!row) return unclaimed(deps, id);
  if (now < row.deadlineAt) return hand(deps, row);
  await failRow(deps, id, "queue_timeout", waitedTooLong(deps));
  return { done: true };
}

/** Asks the runner to draw a row that this caller has claimed. */
export async function hand(deps: Deps, row: GenerationRow): Promise<Dispatched> {
  const offered = await offerToRunners(deps, row, inputOf(row));
  if (offered.kind === "refused") {
    // An answer that broke off says nothing about the next.
    if (offered.busy || offered.retryAfter > 0) refusedAt.set(deps.config, deps.now());
    return giveBack(deps, row.id, offered);
  }
  refusedAt.delete(deps.config);
  if (offered.kind === "taken") {
    const { runner, prediction } = offered;
    await taken(deps, row.id, runner, runner.ownIds ? null : (prediction?.id ?? null));
    if (prediction) await apply(deps, row.id, prediction, runner);
    return { done: true, runner };
  }
  await failRow(deps, row.id, "runner_rejected", offered.detail);
  return { done: true };
}

/** Whether this isolate has just been told that nobody has room: asking for another one would hear the same. */
export function justRefused(deps: Deps): boolean {
  return deps.now() - (refusedAt.get(deps.config) ?? 0) < REFUSAL_MS;
}

async function giveBack(
  deps: Deps,
  id: string,
  { retryAfter, busy } = { retryAfter: 0, busy: true },
): Promise<Dispatched> {
  await deps.generations.release(id);
  return { done: false, retryAfter, busy };
}

/** The sentence for a generation whose time in line is over. */
export function waitedTooLong(deps: Deps): string {
  const seconds = deps.config.QUEUE_DEADLINE_SECONDS;
  const time = seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
  return `No runner had room for this picture within ${time}. Send it again later.`;
}

async function unclaimed(deps: Deps, id: string): Promise<Dispatched> {
  const row = await deps.generations.load(id);
  if (!row || isTerminal(row.status) || row.dispatchedAt !== null) return { done: true };
  // Somebody else is at it, or died at it, or it rests: look again when that is over.
  const rest = (row.claimedUntil ?? 0) - deps.now();
  return { done: false, retryAfter: Math.max(0, Math.ceil(rest / 1000)), busy: false };
}

/** A cancel or delete that came while the runner was asked could not know of the prediction; tell the runner now. */
async function taken(deps: Deps, id: string, runner: Backend, predictionId: string | null): Promise<void> {
  if (await deps.generations.dispatched(id, deps.now(), { runner: runner.name, predictionId })) return;
  const row = await deps.generations.load(id);
  if (!row || row.status === "canceled") deps.background(runner.cancel({ id, predictionId }));
}

function inputOf(row: GenerationRow) {
  return {
    prompt: row.prompt,
    negative_prompt: row.negativePrompt ?? "",
    model: row.model,
    adapter: row.adapter?.id ?? null,
    ...(row.adapter ? { adapter_scale: row.adapter.scale } : {}),
    ...row.parameters,
    ...(row.previews > 0 ? { preview_every: Math.ceil(row.parameters.num_inference_steps / (row.previews + 1)) } : {}),
  };
}
