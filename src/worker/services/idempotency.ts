import type { Generation } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { IdempotencyRecord } from "../storage/idempotency.ts";

/** The longest that an answer is held back. The OpenAI SDKs give up after ten minutes; a proxy in between, after five. */
export const LONGEST_HOLD_SECONDS = 290;
/** That, and some: a record still without an answer lost its isolate. */
const IN_FLIGHT_MS = (LONGEST_HOLD_SECONDS + 30) * 1000;
const MAX_CHARS = 255;

/** How a request wants to be made once only. */
export interface Once {
  key: string;
  fingerprint: string;
}

/**
 * The value of an `Idempotency-Key` header: a structured-field string (RFC 8941 section 3.3.3), or bare as most clients
 * send it (draft-ietf-httpapi-idempotency-key-header). Null when there is none.
 *
 * @throws {Refusal} idempotency_key_invalid
 */
export function parseIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header.trim());
  const key = quoted?.[1] === undefined ? header.trim() : quoted[1].replace(/\\(["\\])/g, "$1");
  if (key.length >= 1 && key.length <= MAX_CHARS && /^[\x20-\x7e]+$/.test(key)) return key;
  throw new Refusal(
    "idempotency_key_invalid",
    `An Idempotency-Key has 1 to ${MAX_CHARS} visible ASCII characters; a UUID does.`,
  );
}

export interface Replay {
  status: 200 | 201 | 202;
  generation: Generation;
}

/**
 * The answer that the first request with this key got.
 *
 * @param asNow the generation as it is now, for when the first answer was lost
 * @throws {Refusal} idempotency_key_reused, idempotency_in_flight, generation_deleted
 */
export async function replay(
  deps: Deps,
  record: IdempotencyRecord,
  { fingerprint }: Once,
  asNow: (id: string) => Promise<Generation>,
): Promise<Replay> {
  if (record.fingerprint !== fingerprint)
    throw new Refusal("idempotency_key_reused", "This Idempotency-Key was used for another request; use a new one.");
  if (record.generationId === null)
    throw new Refusal("generation_deleted", "This request's generation was deleted; to draw it again, use a new key.");
  if (record.response !== null)
    return { status: record.status as Replay["status"], generation: JSON.parse(record.response) };
  if (deps.now() - record.createdAt < IN_FLIGHT_MS)
    throw new Refusal(
      "idempotency_in_flight",
      "The first request with this key has not been answered yet; try again.",
      {
        headers: { "Retry-After": "2" },
      },
    );
  return { status: 202, generation: await asNow(record.generationId) };
}

/** A record for a generation that is being accepted; without an answer while that is held back. */
export function recordOf(
  { key, fingerprint }: Once,
  {
    accountId,
    generation,
    status,
    now,
  }: { accountId: string; generation: Generation; status: number | null; now: number },
): IdempotencyRecord {
  return {
    accountId,
    key,
    fingerprint,
    generationId: generation.id,
    status,
    response: status === null ? null : JSON.stringify(generation),
    createdAt: now,
  };
}

/** Whether an insert failed because somebody else was first with the key. */
export function isTaken(error: unknown): boolean {
  return /UNIQUE constraint failed: idempotency/.test(String(error));
}
