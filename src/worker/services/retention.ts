import { newId } from "../../contract/ids.ts";
import type { Deps } from "../deps.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { DueAccount } from "../storage/retention.ts";
import { KEY_MEMORY_MS } from "./authenticate.ts";
import { cancelRow } from "./finish.ts";
import { forgetImages } from "./images.ts";
import { forgetHits } from "./reuse.ts";

const DAY_MS = 86_400_000;
/** How often an account's age limits are looked at. */
const SWEEP_EVERY_MS = 60 * 60_000;
const ACCOUNTS_PER_SWEEP = 20;
/** Generations in one transaction, and transactions for one account in one turn. */
const BATCH = 100;
const TURNS = 10;
const PARALLEL = 10;
const ERASURES = 3;
/** No erasure ends before this: another isolate may remember the account's keys, and be at work for them. */
const LEAST_ERASURE_MS = 2 * KEY_MEMORY_MS;
/** R2 deletes so many at once (developers.cloudflare.com/r2/api/workers/workers-api-reference). */
const DOOMED = 1_000;

/** The cron's part: removes what is too old, what is left of erased accounts, and objects whose delete failed before. */
export async function sweepRetention(deps: Deps): Promise<void> {
  await deleteObjects(deps, await deps.retention.doomed(DOOMED));
  for (const id of await deps.retention.erasing(ERASURES)) await eraseSome(deps, id);
  const { IMAGES_DAYS: imagesDays = null, GENERATIONS_DAYS: generationsDays = null } = deps.config;
  const now = deps.now();
  const due = await deps.retention.due(now - SWEEP_EVERY_MS, ACCOUNTS_PER_SWEEP, { imagesDays, generationsDays });
  for (const account of due) {
    const done = await sweepAccount(deps, account, now);
    if (done) await deps.retention.swept(account.id, now);
  }
}

/** Deletes objects and forgets that they were to be deleted; those that R2 does not delete are tried again by the cron. */
export async function deleteObjects(deps: Deps, objectKeys: string[]): Promise<void> {
  if (objectKeys.length === 0) return;
  try {
    await deps.objects.remove(objectKeys);
    await deps.retention.removed(objectKeys);
  } catch (error) {
    console.error(JSON.stringify({ event: "objects_not_deleted", count: objectKeys.length, error: String(error) }));
  }
}

/** Erases an account's generations, some at a time; answers whether nothing is left, nor can come any more. */
export async function eraseSome(deps: Deps, accountId: string): Promise<boolean> {
  for (let turn = 0; turn < TURNS; turn++) {
    const rows = await deps.generations.list({ accountId, limit: BATCH });
    if (rows.length === 0) {
      const { erasedAt = null } = (await deps.accounts.find(accountId)) ?? {};
      if (erasedAt !== null && deps.now() - erasedAt < LEAST_ERASURE_MS) return false;
      await deps.limits.erase(accountId);
      await deps.retention.endErasure(accountId);
      return true;
    }
    for (let at = 0; at < rows.length; at += PARALLEL)
      await Promise.all(rows.slice(at, at + PARALLEL).map((row) => endAndForget(deps, row)));
    await forget(
      deps,
      accountId,
      rows.map(({ id }) => id),
    );
  }
  return false;
}

async function endAndForget(deps: Deps, row: GenerationRow): Promise<void> {
  if (row.completedAt === null) await cancelRow(deps, row);
  await deps.live(row.id).forget();
}

/** Whether nothing that is too old is left for now. */
async function sweepAccount(
  deps: Deps,
  { id, imagesDays, generationsDays, imagesSweptTo }: DueAccount,
  now: number,
): Promise<boolean> {
  const generations = await ageOut(deps, id, "", generationsDays, now, (ids) => forget(deps, id, ids));
  const images = await ageOut(deps, id, imagesSweptTo, imagesDays, now, async (ids) => {
    forgetHere(deps, ids);
    await deleteObjects(deps, await deps.retention.expireImages(id, ids));
  });
  return generations && images;
}

async function ageOut(
  deps: Deps,
  accountId: string,
  from: string,
  days: number | null,
  now: number,
  remove: (ids: string[]) => Promise<void>,
): Promise<boolean> {
  if (days === null) return true;
  // Ids sort by time: the first one that this millisecond could have.
  const before = newId("gen", Math.max(0, now - days * DAY_MS), new Uint8Array(16));
  let after = from;
  for (let turn = 0; turn < TURNS; turn++) {
    const rows = await deps.retention.between(accountId, after, before, BATCH);
    // What has not ended is left alone, and everything behind it waits: its end comes within its deadlines.
    const unfinished = rows.findIndex(({ ended }) => !ended);
    const ids = (unfinished < 0 ? rows : rows.slice(0, unfinished)).map(({ id }) => id);
    if (ids.length > 0) await remove(ids);
    if (ids.length < BATCH) return true;
    after = ids.at(-1) ?? after;
  }
  return false;
}

/** What this isolate remembers of pictures that go. */
function forgetHere(deps: Deps, ids: string[]): void {
  forgetImages(deps, ids);
  forgetHits(deps, ids);
}

/** Forgets generations that have ended, with their pictures. */
export async function forget(deps: Deps, accountId: string, ids: string[]): Promise<void> {
  forgetHere(deps, ids);
  await deleteObjects(deps, await deps.retention.forget(accountId, ids));
}
