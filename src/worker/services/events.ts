import { isTerminal } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { EVENT_STREAM, frame } from "../generation/stream.ts";
import { findRow, getGeneration } from "./generations.ts";

/**
 * The id of an end that only the row could tell: above every id of a live object, and always the same, so that a client
 * that comes back with it has seen the end.
 */
const ROW_END_ID = 999_999_999_999_999;

/** A generation's events after `lastEventId`, live until it ends. @throws {import("../refusal.ts").Refusal} not_found */
export async function openEvents(deps: Deps, accountId: string, id: string, lastEventId: number): Promise<Response> {
  const row = await findRow(deps, accountId, id);
  const over = isTerminal(row.status);
  // An EventSource comes back after every end of its stream, until 204 (HTML standard, section 9.2.3).
  if (over && lastEventId >= ROW_END_ID) return new Response(null, { status: 204 });
  const stream = await deps.live(id).events(lastEventId, over);
  if (stream.status !== 404) return stream;
  // It ended so long ago that only the row remembers: the end is all there is to tell.
  const generation = await getGeneration(deps, accountId, id);
  const end = frame({ id: ROW_END_ID, type: "completed", data: generation });
  return new Response(end, { headers: EVENT_STREAM });
}
