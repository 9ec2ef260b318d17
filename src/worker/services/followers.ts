import { isTerminal } from "../../contract/generation.ts";
import { randomToken } from "../bytes.ts";
import type { Deps } from "../deps.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { admitNoted, release } from "./admit.ts";
import { failRow } from "./finish.ts";
import { toGeneration } from "./view.ts";
import { announce } from "./webhook-delivery.ts";

/**
 * What a leader's end means for those that wait for its pictures: they get them, or, when there are none, the oldest that
 * the limits allow is drawn by itself and the others follow it. Safe to run twice.
 */
export async function settleFollowers(deps: Deps, leaderId: string): Promise<void> {
  const [followers, leader] = await Promise.all([deps.reuse.followers(leaderId), deps.generations.load(leaderId)]);
  if (followers.length === 0 || (leader && !isTerminal(leader.status))) return;
  if (leader?.status === "succeeded") {
    await Promise.all(followers.map((follower) => share(deps, follower, leaderId)));
    return;
  }
  // Its place and pictures are free before another takes them.
  if (leader) await release(deps, leader, { refund: true });
  const next = await firstAdmitted(deps, followers);
  if (!next) return;
  await deps.reuse.promote(leaderId, next.id, deps.now() + deps.config.QUEUE_DEADLINE_SECONDS * 1000);
  const back = followers.filter(({ status }) => status === "running");
  await Promise.all([
    deps.enqueue(next.id),
    ...back.map(({ id }) => deps.live(id).report({ type: "status", data: { status: "queued" } })),
  ]);
}

/** Joining somebody else's drawing counts against no limit; drawing does. Whose limit is used up for today ends here. */
async function firstAdmitted(deps: Deps, followers: GenerationRow[]): Promise<GenerationRow | null> {
  for (const follower of followers) {
    const refused = await admitNoted(deps, follower);
    if (!refused) return follower;
    // A place comes free, and a minute passes: until its deadline it stays as it is, and its next check asks again.
    const passes = refused.code === "too_many_generations" || refused.code === "rate_limited";
    if (passes && deps.now() < follower.deadlineAt) continue;
    await failRow(deps, follower.id, refused.code, refused.message);
  }
  return null;
}

async function share(deps: Deps, { id, parameters }: GenerationRow, leaderId: string): Promise<void> {
  const row = await deps.reuse.share(id, leaderId, newTokens(parameters.num_images), deps.now());
  if (!row) return;
  deps.metrics.end(row);
  announce(deps, id);
  const images = (await deps.images.of([id])).get(id) ?? [];
  const generation = toGeneration(row, images, { publicUrl: deps.config.PUBLIC_URL });
  await Promise.all([
    deps.live(id).report({ type: "completed", data: generation }),
    release(deps, row, { refund: false }),
  ]);
}

/** Unguessable names for a generation's own view of pictures that exist. */
export function newTokens(count: number): string[] {
  return Array.from({ length: count }, randomToken);
}
