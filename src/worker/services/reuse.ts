import type { CreateGeneration } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { Memory } from "../memory.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { IdempotencyRecord } from "../storage/idempotency.ts";
import type { ImageRow, StoredImage } from "../storage/images.ts";
import type { Known } from "../storage/reuse.ts";
import { canonicalJson, fingerprintOf } from "./canonical.ts";
import { newTokens, settleFollowers } from "./followers.ts";
import type { Resolved } from "./resolve.ts";

/** What `Cache-Status` says (RFC 9211): found, drawn anew, shared with one under way, not asked for, never kept. */
export type CacheStatus = "hit" | "fwd=uri-miss; stored" | "fwd=uri-miss; collapsed" | "fwd=request" | "fwd=bypass";

/**
 * The name of the pixels: SHA-256 over everything that decides them, the model's version included, within one account.
 * Null for a request without a seed: its sender wants a new picture each time.
 */
export async function cacheKeyOf(
  accountId: string,
  request: CreateGeneration,
  { model, version, adapter, negativePrompt, parameters }: Resolved,
): Promise<string | null> {
  if (request.seed === undefined) return null;
  return fingerprintOf({ accountId, prompt: request.prompt, model, version, adapter, negativePrompt, parameters });
}

/** A picture that many ask for again and again costs no trip to D1 for so long; a deleted one may be told for so long. */
const HIT_MEMORY_MS = 10_000;
const MEMORY_HITS = 1_000;
const hits = new Memory<NonNullable<Known["same"]>>({ ms: HIT_MEMORY_MS, entries: MEMORY_HITS });

/**
 * Everything known about a request before it is accepted: from this isolate's memory where the very same one was just
 * answered with a picture that is done, else from D1 in one trip.
 */
export async function lookUp(
  deps: Deps,
  row: GenerationRow,
  cacheKey: string | null,
  idempotencyKey: string | null,
): Promise<Known> {
  const name = JSON.stringify([cacheKey, row.user, row.metadata]);
  const now = deps.now();
  const same = cacheKey !== null && idempotencyKey === null ? hits.get(deps.config, name, now) : undefined;
  if (same) return { same, record: null };
  const known = await deps.reuse.lookUp(row, cacheKey, idempotencyKey);
  if (known.same?.row.status === "succeeded" && isSame(row, known.same.row))
    hits.set(deps.config, name, known.same, now);
  return known;
}

/** Lets this isolate forget what is gone. */
export function forgetHits(deps: Deps, generationIds: string[]): void {
  const gone = new Set(generationIds);
  hits.forget(deps.config, ({ row }) => gone.has(row.id));
}

/** Whether two requests differ in nothing that their senders could see; one that is told of its end has its own. */
export function isSame(a: GenerationRow, b: GenerationRow): boolean {
  return a.webhook === null && a.user === b.user && canonicalJson(a.metadata) === canonicalJson(b.metadata);
}

/**
 * A generation of its own, for another user or with other metadata, that shows pictures drawn before. Null when those
 * were deleted meanwhile.
 */
export async function copyOf(
  deps: Deps,
  row: GenerationRow,
  source: { row: GenerationRow; images: ImageRow[] },
  record: (copy: GenerationRow, images: StoredImage[]) => IdempotencyRecord | null,
): Promise<{ row: GenerationRow; images: StoredImage[] } | null> {
  const { reading, notice } = source.row;
  const at = row.createdAt;
  const copy: GenerationRow = {
    ...row,
    status: "succeeded",
    cached: true,
    completedAt: at,
    claimedUntil: null,
    reading,
    notice,
  };
  const tokens = newTokens(source.images.length);
  const images = source.images.map((image, index) => ({ ...image, token: tokens[index] ?? "", share: null }));
  const stored = await deps.reuse.insertCopy(copy, source.row.id, tokens, record(copy, images));
  return stored ? { row: copy, images } : null;
}

/** Begins to wait for a leader's pictures; a leader that ended meanwhile settles it at once. */
export async function follow(deps: Deps, row: GenerationRow, leaderId: string): Promise<void> {
  await deps.live(row.id).open();
  await deps.live(leaderId).follow(row.id);
  await settleFollowers(deps, leaderId);
}
