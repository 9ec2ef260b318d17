import { isTerminal } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { dispatch, justRefused } from "./dispatch.ts";
import { jitter } from "./jitter.ts";
import { currentModels } from "./models.ts";
import { pull } from "./pull.ts";

/** How many follow one that was taken: a runner that came back is filled up. */
const FILL = 32;
/** How long a generation rests whose messages were used up. */
const REVIVE_SECONDS = 30;

/** A queue message, as far as this needs it. */
export interface Delivery {
  body: unknown;
  attempts: number;
  ack(): void;
  retry(options: { delaySeconds: number }): void;
}

/** Hands the generation of one message to a runner, or puts the message off. */
export async function consume(deps: Deps, message: Delivery): Promise<void> {
  const id = idOf(message.body);
  if (id === null) return message.ack();
  const { attempts } = message;
  // It has been looked at before: a row that another found no room for a moment ago finds none either.
  if (attempts > 1 && justRefused(deps)) return message.retry({ delaySeconds: jitter(attempts, deps.random) });
  try {
    if (isNet(message.body) && !(await wasLeft(deps, id))) return message.ack();
    const result = await dispatch(deps, id);
    if (!result.done) return message.retry({ delaySeconds: result.retryAfter + jitter(attempts, deps.random, result) });
    message.ack();
    if (result.runner) await pull(deps, result.runner, FILL);
  } catch (error) {
    console.error(JSON.stringify({ event: "dispatch_failed", generation: id, error: String(error) }));
    message.retry({ delaySeconds: jitter(attempts, deps.random) });
  }
}

/** A message that used up its retries: what still waits gets a new one, because only its deadline may end it. */
export async function revive(deps: Deps, message: Delivery): Promise<void> {
  const id = idOf(message.body);
  const row = id === null ? null : await deps.generations.load(id);
  if (row && !isTerminal(row.status) && row.dispatchedAt === null) await deps.enqueue(row.id, REVIVE_SECONDS);
  message.ack();
}

function isNet(body: unknown): boolean {
  return (body as { net?: unknown } | null)?.net === true;
}

/**
 * Whether its maker died with it in hand: a claim that nobody gave back. Where asking a runner twice starts nothing new the
 * claim is taken at once, else it has to end first. Its live object may not be looking after it either.
 */
async function wasLeft(deps: Deps, id: string): Promise<boolean> {
  const row = await deps.generations.load(id);
  if (!row || isTerminal(row.status)) return false;
  await deps.live(id).open();
  if (row.status !== "queued" || row.attempts > 0 || row.claimedUntil === null) return false;
  const { runners } = await currentModels(deps);
  if (runners.get(row.model)?.every(({ ownIds }) => ownIds)) await deps.generations.release(id);
  return true;
}

function idOf(body: unknown): string | null {
  const id = (body as { id?: unknown } | null)?.id;
  return typeof id === "string" ? id : null;
}
