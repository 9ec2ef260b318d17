import { isTerminal } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { EVENT_STREAM, frame } from "../generation/stream.ts";
import { findRow, getGeneration } from "./generations.ts";

/** A generation's events after `lastEventId`, live until it ends. @throws {import("../refusal.ts").Refusal} not_found */
export async function openEvents(deps: Deps, accountId: string, id: string, lastEventId: number): Promise<Response> {
  const row = await findRow(deps, accountId, id);
  const stream = await deps.live(id).events(lastEventId, isTerminal(row.status));
  if (stream.status !== 404) return stream;
  // It ended so long ago that only the row remembers: the end is all there is to tell.
  const generation = await getGeneration(deps, accountId, id);
  const end = frame({ id: lastEventId + 1, type: "completed", data: generation });
  return new Response(end, { headers: EVENT_STREAM });
}
