import type { Deps } from "../deps.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { KnownKey } from "../storage/keys.ts";
import type { Known } from "../storage/reuse.ts";
import { note, release } from "./admit.ts";
import { type Accepted, answer, type How, inBackground } from "./answer.ts";
import { copyOf, follow, forgetHits, isSame } from "./reuse.ts";
import { announce } from "./webhook-delivery.ts";

type Same = NonNullable<Known["same"]>;

/**
 * Answers a request with pictures that are drawn, or being drawn, for the same pixels; null when they went away meanwhile.
 * Nobody's limits are touched: nothing is drawn for it.
 */
export function coalesce(
  deps: Deps,
  key: KnownKey,
  row: GenerationRow,
  same: Same,
  how: How,
): Promise<Accepted | null> {
  if (isSame(row, same.row)) return sameAnswer(deps, same, how);
  return same.row.status === "succeeded" ? copy(deps, row, same, how) : join(deps, key, row, same.row.id, how);
}

/** The very same request: its generation is the answer, and nothing is written but that, for an idempotency key. */
async function sameAnswer(deps: Deps, same: Same, how: How): Promise<Accepted | null> {
  const done = same.row.status === "succeeded";
  const cacheStatus = done ? "hit" : "fwd=uri-miss; collapsed";
  const found = { ...same.row, cached: done || same.row.cached };
  const accepted = answer(deps, found, same.images, done ? 200 : 202, { ...how, cacheStatus });
  // Before the answer, not after it: of two different requests with one key at once, only the first may get one.
  if (accepted.record && !(await deps.idempotency.insert(accepted.record))) {
    forgetHits(deps, [same.row.id]);
    return null;
  }
  return { ...accepted, offered: done ? null : Promise.resolve() };
}

/** A generation of its own that has succeeded as it is made. */
async function copy(deps: Deps, row: GenerationRow, same: Same, how: How): Promise<Accepted | null> {
  const options = { ...how, cacheStatus: "hit" } as const;
  const copied = await copyOf(deps, row, same, (own, images) => answer(deps, own, images, 200, options).record);
  if (!copied) {
    forgetHits(deps, [same.row.id]);
    return null;
  }
  deps.metrics.end(copied.row);
  announce(deps, copied.row.id);
  return { ...answer(deps, copied.row, copied.images, 200, options), offered: null };
}

/** A generation of its own that waits for the pictures of one under way. */
async function join(deps: Deps, key: KnownKey, row: GenerationRow, leaderId: string, how: How): Promise<Accepted> {
  const metered = await note(deps, key, row, how.group);
  const follower: GenerationRow = { ...row, leaderId, claimedUntil: null, metered };
  const accepted = answer(deps, follower, [], 202, { ...how, cacheStatus: "fwd=uri-miss; collapsed" });
  try {
    await deps.generations.insert(follower, 0, accepted.record);
  } catch (error) {
    deps.background(release(deps, follower, { refund: true }));
    throw error;
  }
  return { ...accepted, offered: inBackground(deps, row.id, follow(deps, follower, leaderId)) };
}
