import type { CreateGeneration, Generation } from "../../contract/generation.ts";
import { newId } from "../../contract/ids.ts";
import { GENERATION_EVENTS } from "../../contract/webhooks.ts";
import type { Deps } from "../deps.ts";
import { waitingAt } from "../generation/history.ts";
import { Refusal } from "../refusal.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { IdempotencyRecord } from "../storage/idempotency.ts";
import type { StoredImage } from "../storage/images.ts";
import type { KnownKey } from "../storage/keys.ts";
import type { Known } from "../storage/reuse.ts";
import { admit, note, release } from "./admit.ts";
import { fingerprintOf } from "./canonical.ts";
import { CLAIM_MS, offer } from "./dispatch.ts";
import { getGeneration } from "./generations.ts";
import { isTaken, type Once, recordOf, replay } from "./idempotency.ts";
import { currentModels, refreshModels } from "./models.ts";
import { requireAllowed } from "./policies.ts";
import { type Resolved, resolve } from "./resolve.ts";
import { type CacheStatus, cacheKeyOf, copyOf, follow, forgetHits, isSame, lookUp } from "./reuse.ts";
import { toGeneration } from "./view.ts";
import { announce } from "./webhook-delivery.ts";
import { requireReceiver } from "./webhook-endpoints.ts";

const LIST_MAY_LAG_MS = 10_000;
/** Whoever waits for longer than this goes first: a newcomer must not take the place that just became free. */
const NEWCOMER_MS = 1_000;

export interface CreateOptions {
  /** The request's `Idempotency-Key`. */
  idempotencyKey?: string | null;
  /** `no-cache`: draw it anew; `no-store`: and let nobody share it. */
  cache?: "default" | "no-cache" | "no-store";
  /** Whether the answer is held back until the end: then it is not known yet what an idempotent repeat will get. */
  holdsBack?: boolean;
}

export interface Accepted {
  generation: Generation;
  /** 200: pictures from the cache; 201, 202: what the first request with this idempotency key got. */
  status: 200 | 201 | 202;
  /** Settles, and never fails, when the runner was asked; null: `generation` and `status` are the answer, whatever the client prefers. */
  offered: Promise<void> | null;
  /** What the answer says about limits, cache and repetition. */
  headers: Record<string, string>;
  /** What the cache had to do with it, for the log. */
  cache: CacheStatus | "replayed";
  /** Keeps what a held-back answer said in the end for repeats of the request. */
  answered: (status: number, generation: Generation) => void;
}

/** A request in another API's words: an idempotent repeat is one of the same words. */
export interface Foreign {
  body: unknown;
  translate: () => Promise<CreateGeneration>;
}

/** Accepts a request: once this answers, the generation will end in exactly one terminal state. */
export async function createGeneration(
  deps: Deps,
  key: KnownKey,
  asked: CreateGeneration | Foreign,
  options: CreateOptions = {},
): Promise<Accepted> {
  const { idempotencyKey = null } = options;
  const said = "translate" in asked ? asked.body : asked;
  const once = idempotencyKey === null ? null : { key: idempotencyKey, fingerprint: await fingerprintOf(said) };
  const outcome = await accept(deps, key, asked, once, options).catch(async (error): Promise<Repeat> => {
    // A repeat gets its answer whatever has changed since: the models, the policy, what is left of the limits. Or another
    // request with the same key was accepted since we looked.
    if (!once || !(error instanceof Refusal || isTaken(error))) throw error;
    const record = await deps.idempotency.find(key.accountId, once.key, deps.now());
    if (!record) throw error;
    return { record, once };
  });
  return "once" in outcome ? repeated(deps, key, outcome) : outcome;
}

/** What is on record for a request's idempotency key. */
interface Repeat {
  record: IdempotencyRecord;
  once: Once;
}

async function accept(
  deps: Deps,
  key: KnownKey,
  asked: CreateGeneration | Foreign,
  once: Once | null,
  { cache = "default", holdsBack = false }: CreateOptions,
): Promise<Accepted | Repeat> {
  const request = "translate" in asked ? await asked.translate() : asked;
  if (request.webhook_url !== undefined) requireReceiver(deps, request.webhook_url, "#/webhook_url");
  const chosen = await resolveAgainstModels(deps, request);
  const cacheKey = cache === "no-store" ? null : await cacheKeyOf(key.accountId, request, chosen);
  const row = newRow(deps, key, request, chosen, cacheKey);

  const wanted = cache === "default" ? cacheKey : null;
  const look = async () => (wanted || once ? lookUp(deps, row, wanted, once?.key ?? null) : null);
  const how = { once, holdsBack, group: request.group ?? null };
  let known = await look();
  if (once && known?.record) return { record: known.record, once };
  await requireAllowed(deps, key, request, chosen);
  for (;;) {
    const shared = known?.same ? await share(deps, key, row, known.same, how) : null;
    const cacheStatus = statusOf(request, cache);
    const accepted = shared ?? (await draw(deps, key, row, { ...how, cacheStatus, sole: wanted !== null }));
    if (accepted) return accepted;
    // Another request for the same pixels was accepted since we looked.
    known = await look();
    if (once && known?.record) return { record: known.record, once };
  }
}

/** How a request is answered and counted. */
interface How {
  once: Once | null;
  holdsBack: boolean;
  group: string | null;
}

/** Hands it to a runner; null, with `sole`, where the same pixels are there or under way by now. */
async function draw(
  deps: Deps,
  key: KnownKey,
  row: GenerationRow,
  { once, holdsBack, group, cacheStatus, sole }: How & { cacheStatus: CacheStatus; sole: boolean },
): Promise<Accepted | null> {
  const { metered, headers } = await admit(deps, key, row, group);
  row.metered = metered;
  const accepted = answer(deps, row, [], 202, { once, holdsBack, cacheStatus, headers });
  let stored: { inLine: boolean } | null;
  try {
    // Beside the row, not after it: should this isolate die with the answer, the message finds what was accepted.
    [stored] = await Promise.all([
      deps.generations.insert(row, row.createdAt - NEWCOMER_MS, accepted.record, { sole }),
      spreadNet(deps, row.id),
    ]);
  } catch (error) {
    deps.background(release(deps, row, { refund: true }));
    throw error;
  }
  if (stored) return { ...accepted, offered: inBackground(deps, row.id, offer(deps, row, stored)) };
  // Awaited, because it will be counted, or noted, under the same id.
  await release(deps, row, { refund: true });
  return null;
}

/** A message that comes when whoever made the generation must have handed it on. Without it the cron finds the row. */
async function spreadNet(deps: Deps, id: string): Promise<void> {
  await deps.spreadNet(id, deps.config.HANDOVER_SECONDS).catch((error: unknown) => {
    console.error(JSON.stringify({ event: "net_failed", generation: id, error: String(error) }));
  });
}

/** Answers with pictures that are drawn or being drawn for the same pixels; null when they went away meanwhile. */
async function share(
  deps: Deps,
  key: KnownKey,
  row: GenerationRow,
  same: NonNullable<Known["same"]>,
  { once, holdsBack, group }: How,
): Promise<Accepted | null> {
  const done = same.row.status === "succeeded";
  if (isSame(row, same.row)) {
    // The very same request: its generation is the answer, and nothing is written.
    const cacheStatus = done ? "hit" : "fwd=uri-miss; collapsed";
    const found = { ...same.row, cached: done || same.row.cached };
    const accepted = answer(deps, found, same.images, done ? 200 : 202, { once, holdsBack, cacheStatus, headers: {} });
    if (accepted.record) deps.background(deps.idempotency.insert(accepted.record));
    return { ...accepted, offered: done ? null : Promise.resolve() };
  }
  if (done) {
    const options = { once, holdsBack, cacheStatus: "hit", headers: {} } as const;
    const copied = await copyOf(deps, row, same, (copy, images) => answer(deps, copy, images, 200, options).record);
    if (!copied) {
      forgetHits(deps, [same.row.id]);
      return null;
    }
    deps.metrics.end(copied.row);
    announce(deps, copied.row.id);
    return { ...answer(deps, copied.row, copied.images, 200, options), offered: null };
  }
  const metered = await note(deps, key, row, group);
  const follower: GenerationRow = { ...row, leaderId: same.row.id, claimedUntil: null, metered };
  const options = { once, holdsBack, cacheStatus: "fwd=uri-miss; collapsed", headers: {} } as const;
  const accepted = answer(deps, follower, [], 202, options);
  try {
    await deps.generations.insert(follower, 0, accepted.record);
  } catch (error) {
    deps.background(release(deps, follower, { refund: true }));
    throw error;
  }
  return { ...accepted, offered: inBackground(deps, row.id, follow(deps, follower, same.row.id)) };
}

/** It is accepted: what fails on its way to a runner is made good by its message or the cron. */
function inBackground(deps: Deps, generation: string, work: Promise<void>): Promise<void> {
  const told = work.catch((error) => {
    console.error(JSON.stringify({ event: "hand_on_failed", generation, error: String(error) }));
  });
  deps.background(told);
  return told;
}

function answer(
  deps: Deps,
  row: GenerationRow,
  images: StoredImage[],
  status: 200 | 202,
  options: { once: Once | null; holdsBack: boolean; cacheStatus: CacheStatus; headers: Record<string, string> },
) {
  const { once, holdsBack, cacheStatus, headers } = options;
  const { accountId } = row;
  const progress = row.status === "queued" ? waitingAt(row.parameters.num_inference_steps, null) : null;
  const generation = toGeneration(row, images, { publicUrl: deps.config.PUBLIC_URL, progress });
  const known = holdsBack && status === 202 ? null : status;
  return {
    generation,
    status,
    headers: { ...headers, "Cache-Status": `vignette; ${cacheStatus}` },
    cache: cacheStatus,
    record: once && recordOf(once, { accountId, generation, status: known, now: deps.now() }),
    answered(final: number, ended: Generation) {
      if (once && known === null)
        deps.background(deps.idempotency.answer(accountId, once.key, final, JSON.stringify(ended)));
    },
  };
}

async function repeated(deps: Deps, { accountId }: KnownKey, { record, once }: Repeat): Promise<Accepted> {
  const { status, generation } = await replay(deps, record, once, (id) => getGeneration(deps, accountId, id));
  const headers = { "Idempotency-Replayed": "true" };
  return { generation, status, offered: null, headers, cache: "replayed", answered: () => {} };
}

function statusOf(request: CreateGeneration, cache: CreateOptions["cache"]): CacheStatus {
  if (request.seed === undefined) return "fwd=bypass";
  return cache === "default" ? "fwd=uri-miss; stored" : "fwd=request";
}

function newRow(
  deps: Deps,
  key: KnownKey,
  request: CreateGeneration,
  { model, adapter, negativePrompt, parameters }: Resolved,
  cacheKey: string | null,
): GenerationRow {
  const now = deps.now();
  return {
    id: newId("gen", now),
    accountId: key.accountId,
    keyId: key.id,
    status: "queued",
    model,
    adapter,
    prompt: request.prompt,
    negativePrompt,
    parameters,
    user: request.user ?? null,
    metadata: request.metadata ?? {},
    createdAt: now,
    deadlineAt: now + deps.config.QUEUE_DEADLINE_SECONDS * 1000,
    claimedUntil: now + CLAIM_MS,
    dispatchedAt: null,
    runner: null,
    predictionId: null,
    attempts: 0,
    startedAt: null,
    completedAt: null,
    runMs: null,
    reading: null,
    notice: null,
    error: null,
    metered: false,
    cached: false,
    cacheKey,
    leaderId: null,
    webhook: request.webhook_url
      ? { url: request.webhook_url, events: request.webhook_events ?? [...GENERATION_EVENTS] }
      : null,
    previews: request.previews ?? 0,
  };
}

async function resolveAgainstModels(deps: Deps, request: CreateGeneration): Promise<Resolved> {
  const seed = Math.floor(deps.random() * 2 ** 31);
  const known = await currentModels(deps);
  try {
    return resolve(request, known.models, seed);
  } catch (refusal) {
    // What is asked for may be newer than the list at hand: look again before saying no.
    const fresh = deps.now() - known.fetchedAt > LIST_MAY_LAG_MS ? await refreshModels(deps) : null;
    if (fresh) return resolve(request, fresh.models, seed);
    throw refusal;
  }
}
