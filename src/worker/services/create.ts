import type { CreateGeneration } from "../../contract/generation.ts";
import { newId } from "../../contract/ids.ts";
import { GENERATION_EVENTS } from "../../contract/webhooks.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { IdempotencyRecord } from "../storage/idempotency.ts";
import type { KnownKey } from "../storage/keys.ts";
import type { Accepted } from "./answer.ts";
import { fingerprintOf } from "./canonical.ts";
import { coalesce } from "./coalesce.ts";
import { CLAIM_MS } from "./dispatch.ts";
import { draw } from "./draw.ts";
import { getGeneration } from "./generations.ts";
import { isTaken, type Once, replay } from "./idempotency.ts";
import { currentModels, refreshModels } from "./models.ts";
import { requireAllowed } from "./policies.ts";
import { type Resolved, resolve } from "./resolve.ts";
import { type CacheStatus, cacheKeyOf, lookUp } from "./reuse.ts";
import { requireReceiver } from "./webhook-endpoints.ts";

const LIST_MAY_LAG_MS = 10_000;

export interface CreateOptions {
  /** The request's `Idempotency-Key`. */
  idempotencyKey?: string | null;
  /** `no-cache`: draw it anew; `no-store`: and let nobody share it. */
  cache?: "default" | "no-cache" | "no-store";
  /** Whether the answer is held back until the end: then it is not known yet what an idempotent repeat will get. */
  holdsBack?: boolean;
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
    const record = await deps.idempotency.find(key.accountId, once.key);
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
  const cacheStatus = statusOf(request, cache);
  let known = await look();
  if (once && known?.record) return { record: known.record, once };
  await requireAllowed(deps, key, request, chosen);
  for (;;) {
    const shared = known?.same ? await coalesce(deps, key, row, known.same, how) : null;
    const accepted = shared ?? (await draw(deps, key, row, { ...how, cacheStatus, sole: wanted !== null }));
    if (accepted) return accepted;
    // Another request for the same pixels was accepted since we looked.
    known = await look();
    if (once && known?.record) return { record: known.record, once };
  }
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
