import { isTerminal } from "../../contract/generation.ts";
import { randomToken } from "../bytes.ts";
import type { Deps } from "../deps.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import { toGeneration } from "./view.ts";
import { announce } from "./webhook-delivery.ts";

/**
 * What a leader's end means for those that wait for its pictures: they get them, or, when there are none, the oldest is
 * drawn by itself and the others follow it. Safe to run twice.
 */
export async function settleFollowers(deps: Deps, leaderId: string): Promise<void> {
  const [followers, leader] = await Promise.all([deps.reuse.followers(leaderId), deps.generations.load(leaderId)]);
  const [first] = followers;
  if (!first || (leader && !isTerminal(leader.status))) return;
  if (leader?.status === "succeeded") {
    await Promise.all(followers.map((follower) => share(deps, follower, leaderId)));
    return;
  }
  await deps.reuse.promote(leaderId, first.id, deps.now() + deps.config.QUEUE_DEADLINE_SECONDS * 1000);
  const back = followers.filter(({ status }) => status === "running");
  await Promise.all([
    deps.enqueue(first.id),
    ...back.map(({ id }) => deps.live(id).report({ type: "status", data: { status: "queued" } })),
  ]);
}

async function share(deps: Deps, { id, parameters }: GenerationRow, leaderId: string): Promise<void> {
  const row = await deps.reuse.share(id, leaderId, newTokens(parameters.num_images), deps.now());
  if (!row) return;
  deps.metrics.end(row);
  announce(deps, id);
  const images = (await deps.images.of([id])).get(id) ?? [];
  const generation = toGeneration(row, images, { publicUrl: deps.config.PUBLIC_URL });
  await deps.live(id).report({ type: "completed", data: generation });
}

/** Unguessable names for a generation's own view of pictures that exist. */
export function newTokens(count: number): string[] {
  return Array.from({ length: count }, randomToken);
}
