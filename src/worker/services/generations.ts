import {
  type Generation,
  type GenerationList,
  isTerminal,
  type ListQuery,
  type Progress,
} from "../../contract/generation.ts";
import type { z } from "../../contract/zod.ts";
import type { Deps } from "../deps.ts";
import { waitingAt } from "../generation/history.ts";
import { Refusal } from "../refusal.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { Accepted } from "./answer.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { cancelRow } from "./finish.ts";
import { removeStrays } from "./images.ts";
import { forget } from "./retention.ts";
import { toGeneration } from "./view.ts";

/** How often a live object that broke off is asked anew: one that was reset is there again at once. */
const WAIT_TRIES = 3;

/** The generation when it has ended, or as it is after `seconds`. */
export async function awaitEnd(
  deps: Deps,
  accountId: string,
  { generation, offered }: Pick<Accepted, "generation"> & { offered: Promise<void> },
  seconds: number,
): Promise<Generation> {
  const { id } = generation;
  const until = deps.now() + seconds * 1000;
  const ended = await Promise.race([
    // The runner is asked first: opening the live object would hold its request up.
    offered.then(() => hear(deps, id, until)),
    new Promise<null>((resolve) => setTimeout(() => resolve(null), seconds * 1000)),
  ]);
  return ended ?? getGeneration(deps, accountId, id);
}

/** Its end, as its live object tells it; null where it does not in time, or cannot: an object that was reset breaks off. */
async function hear(deps: Deps, id: string, until: number): Promise<Generation | null> {
  for (let tries = 0; tries < WAIT_TRIES; tries++) {
    try {
      return await deps.live(id).wait(until - deps.now());
    } catch (error) {
      tell("wait_failed", id, error);
    }
  }
  return null;
}

function tell(event: string, generation: string, error: unknown): void {
  console.error(JSON.stringify({ event, generation, error: String(error) }));
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
  { limit, cursor, status, user, shared, favorite_of: favoriteOf }: z.infer<typeof ListQuery>,
): Promise<GenerationList> {
  const before = cursor === undefined ? undefined : readCursor("gen", cursor);
  const rows = await deps.generations.list({
    accountId,
    limit: limit + 1,
    before,
    status,
    user,
    shared: shared === "true",
    favoriteOf,
  });
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
  await forget(deps, accountId, [id]);
  await Promise.all([removeStrays(deps, id), deps.live(id).forget()]);
}

/** @throws {Refusal} not_found */
export async function findRow(deps: Deps, accountId: string, id: string): Promise<GenerationRow> {
  const row = await deps.generations.find(accountId, id);
  if (!row) throw new Refusal("not_found", "There is no such generation; check its id and the key's account.");
  return row;
}

async function progressOf(deps: Deps, row: GenerationRow): Promise<Progress | null> {
  // Not knowing how far it is says nothing about the rest.
  if (row.status === "running")
    return deps
      .live(row.id)
      .progress()
      .catch((error) => {
        tell("progress_unknown", row.id, error);
        return null;
      });
  if (row.status === "queued") return waitingAt(row.parameters.num_inference_steps, await deps.generations.ahead(row));
  return null;
}
