import {
  type CreateGeneration,
  type Generation,
  type GenerationList,
  isTerminal,
  type ListQuery,
  type Progress,
} from "../../contract/generation.ts";
import { newId } from "../../contract/ids.ts";
import type { z } from "../../contract/zod.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { GenerationRow } from "../storage/generations.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { CLAIM_MS, offer } from "./dispatch.ts";
import { cancelRow } from "./finish.ts";
import { currentModels, refreshModels } from "./models.ts";
import { type Resolved, resolve } from "./resolve.ts";
import { toGeneration } from "./view.ts";

const LIST_MAY_LAG_MS = 10_000;
/** Whoever waits for longer than this goes first: a newcomer must not take the place that just became free. */
const NEWCOMER_MS = 1_000;

/** Who asks. */
export interface Caller {
  accountId: string;
  keyId: string;
}

export interface Accepted {
  generation: Generation;
  /** Settles when the runner was asked. */
  offered: Promise<void>;
}

/** Accepts a request: once this answers, the generation will end in exactly one terminal state. */
export async function createGeneration(deps: Deps, caller: Caller, request: CreateGeneration): Promise<Accepted> {
  const now = deps.now();
  const chosen = await resolveAgainstModels(deps, request);
  const row: GenerationRow = {
    ...caller,
    ...chosen,
    id: newId("gen", now),
    status: "queued",
    prompt: request.prompt,
    user: request.user ?? null,
    metadata: request.metadata ?? {},
    createdAt: now,
    deadlineAt: now + deps.config.QUEUE_DEADLINE_SECONDS * 1000,
    claimedUntil: now + CLAIM_MS,
    dispatchedAt: null,
    attempts: 0,
    startedAt: null,
    completedAt: null,
    runMs: null,
    reading: null,
    error: null,
  };
  const { inLine } = await deps.generations.insert(row, now - NEWCOMER_MS);
  const offered = offer(deps, row, { inLine });
  deps.background(offered);
  return {
    generation: toGeneration(row, [], { publicUrl: deps.config.PUBLIC_URL, progress: waiting(row, null) }),
    offered,
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

/** The generation when it has ended, or as it is after `seconds`. */
export async function awaitEnd(
  deps: Deps,
  accountId: string,
  { generation, offered }: Accepted,
  seconds: number,
): Promise<Generation> {
  const until = deps.now() + seconds * 1000;
  // The runner is asked first: opening the live object would hold its request up.
  const ended = await Promise.race([
    offered.then(() => deps.live(generation.id).wait(until - deps.now())),
    new Promise<null>((resolve) => setTimeout(() => resolve(null), seconds * 1000)),
  ]);
  return ended ?? getGeneration(deps, accountId, generation.id);
}

/** @throws {Refusal} not_found, for another account's generation too */
export async function getGeneration(deps: Deps, accountId: string, id: string): Promise<Generation> {
  const row = await findRow(deps, accountId, id);
  if (row.status === "succeeded") {
    const images = await deps.images.of([id]);
    return toGeneration(row, images.get(id) ?? [], { publicUrl: deps.config.PUBLIC_URL });
  }
  return toGeneration(row, [], { publicUrl: deps.config.PUBLIC_URL, progress: await progressOf(deps, row) });
}

/** Newest first. Progress of unfinished ones stands in the single object only: a list asks no live object. */
export async function listGenerations(
  deps: Deps,
  accountId: string,
  { limit, cursor, status, user }: z.infer<typeof ListQuery>,
): Promise<GenerationList> {
  const before = cursor === undefined ? undefined : readCursor("gen", cursor);
  const rows = await deps.generations.list({ accountId, limit: limit + 1, before, status, user });
  const page = rows.slice(0, limit);
  const images = await deps.images.of(page.filter((row) => row.status === "succeeded").map(({ id }) => id));
  return {
    data: page.map((row) => toGeneration(row, images.get(row.id) ?? [], { publicUrl: deps.config.PUBLIC_URL })),
    next_cursor: rows.length > limit ? writeCursor(page.at(-1)?.id ?? "") : null,
  };
}

/** Cancels in any state; an ended generation stays as it is. */
export async function cancelGeneration(deps: Deps, accountId: string, id: string): Promise<Generation> {
  const row = await findRow(deps, accountId, id);
  if (!isTerminal(row.status)) await cancelRow(deps, row);
  return getGeneration(deps, accountId, id);
}

/** Ends it if it still runs, and forgets it with its images. */
export async function deleteGeneration(deps: Deps, accountId: string, id: string): Promise<void> {
  const row = await findRow(deps, accountId, id);
  if (!isTerminal(row.status)) await cancelRow(deps, row);
  await deps.generations.remove(accountId, id);
  await deps.objects.removeAll(id);
}

/** @throws {Refusal} not_found */
export async function findRow(deps: Deps, accountId: string, id: string): Promise<GenerationRow> {
  const row = await deps.generations.find(accountId, id);
  if (!row) throw new Refusal("not_found", "There is no such generation; check its id and the key's account.");
  return row;
}

async function progressOf(deps: Deps, row: GenerationRow): Promise<Progress | null> {
  if (row.status === "running") return deps.live(row.id).progress();
  if (row.status === "queued") return waiting(row, await deps.generations.ahead(row));
  return null;
}

function waiting(row: GenerationRow, ahead: number | null): Progress {
  return { fraction: 0, step: 0, steps: row.parameters.num_inference_steps, queue_position: ahead, eta_seconds: null };
}
