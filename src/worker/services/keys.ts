import {
  type CreatedKey,
  type CreateKey,
  type Key,
  type KeyList,
  newKey,
  type RotateKey,
  type UpdateKey,
} from "../../contract/keys.ts";
import type { Deps } from "../deps.ts";
import { invalid, Refusal } from "../refusal.ts";
import type { KeyRow, KnownKey, StoredKey } from "../storage/keys.ts";
import { erased } from "./accounts.ts";
import { forgetKey } from "./authenticate.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { rfc3339 } from "./view.ts";

/** A key by its id, in `account` where an operator names another one than its own. */
interface Named {
  id: string;
  account?: string | undefined;
}

/** Makes a key; the answer is the only place where the secret appears. */
export async function createKey(deps: Deps, maker: KnownKey, request: CreateKey): Promise<CreatedKey> {
  const now = deps.now();
  const expiresAt = expiry(request.expires_at, now);
  const account = request.account ?? maker.accountId;
  if (account !== maker.accountId && !maker.operator)
    throw new Refusal("operator_only", "Only operators make keys for other accounts; leave account out.", {
      errors: [{ pointer: "#/account", detail: "Leave it out: the key is made in your own account." }],
    });
  const { secret, id, hash, prefix } = await newKey(now);
  const row: KeyRow = {
    id,
    hash,
    prefix,
    accountId: account,
    name: request.name,
    scopes: request.scopes,
    limits: request.limits ?? {},
    createdAt: now,
    expiresAt,
    revokedAt: null,
  };
  if (!(await deps.keys.insert(row, { operator: false }))) throw erased();
  const stored: StoredKey = { ...row, previousHash: null, previousUntil: null, lastUsedAt: null };
  return { ...toKey(stored, now), key: secret };
}

/** @param account another one, for operators */
export async function listKeys(
  deps: Deps,
  key: KnownKey,
  { limit, cursor, account }: { limit: number; cursor?: string | undefined; account?: string | undefined },
): Promise<KeyList> {
  const accountId = accountOf(key, account);
  // An empty list would hide a slip of the pen.
  if (accountId !== key.accountId && !(await deps.accounts.find(accountId)))
    throw new Refusal("not_found", "There is no such account; it is made with its first key.");
  const rows = await deps.keys.list(accountId, limit + 1, cursor === undefined ? undefined : readCursor("key", cursor));
  const page = rows.slice(0, limit);
  return {
    data: page.map((row) => toKey(row, deps.now())),
    next_cursor: rows.length > limit ? writeCursor(page.at(-1)?.id ?? "") : null,
  };
}

export async function getKey(deps: Deps, key: KnownKey, { id, account }: Named): Promise<Key> {
  return toKey(await findKey(deps, accountOf(key, account), id), deps.now());
}

export async function updateKey(deps: Deps, key: KnownKey, { id, account }: Named, change: UpdateKey): Promise<Key> {
  const now = deps.now();
  const accountId = accountOf(key, account);
  const { name, scopes, limits, expiresAt } = await findKey(deps, accountId, id);
  const row = await deps.keys.update(accountId, id, {
    name: change.name ?? name,
    scopes: change.scopes ?? scopes,
    limits: change.limits ?? limits,
    expiresAt: change.expires_at === undefined ? expiresAt : expiry(change.expires_at, now),
  });
  forgetKey(deps, id);
  if (!row) throw noKey();
  return toKey(row, now);
}

/** Gives the key a new secret under the same id, limits and counts; the old secret works on for the overlap. */
export async function rotateKey(
  deps: Deps,
  key: KnownKey,
  { id, account }: Named,
  { overlap_seconds }: RotateKey,
): Promise<CreatedKey> {
  const now = deps.now();
  const accountId = accountOf(key, account);
  const { secret, hash, prefix } = await newKey(now);
  const row = await deps.keys.rotate(accountId, id, { hash, prefix, until: now + overlap_seconds * 1000, now });
  forgetKey(deps, id);
  if (row) return { ...toKey(row, now), key: secret };
  await findKey(deps, accountId, id);
  throw new Refusal("key_inactive", "This key was revoked or has expired; make a new one with POST /v1/keys.");
}

/** Works at once in this isolate, in every other within `KEY_MEMORY_MS`. */
export async function revokeKey(deps: Deps, key: KnownKey, { id, account }: Named): Promise<void> {
  const row = await deps.keys.revoke(accountOf(key, account), id, deps.now());
  forgetKey(deps, id);
  if (!row) throw noKey();
}

function accountOf(key: KnownKey, account: string = key.accountId): string {
  if (account === key.accountId || key.operator) return account;
  throw new Refusal("operator_only", "Only operators see and change other accounts' keys; leave account out.", {
    errors: [{ pointer: "#/account", detail: "Leave it out: your own account is meant then." }],
  });
}

async function findKey(deps: Deps, accountId: string, id: string): Promise<StoredKey> {
  const row = await deps.keys.find(accountId, id);
  if (!row) throw noKey();
  return row;
}

function noKey(): Refusal {
  return new Refusal("not_found", "There is no such key; GET /v1/keys lists yours.");
}

function expiry(time: string | null | undefined, now: number): number | null {
  if (time === undefined || time === null) return null;
  const at = Date.parse(time);
  if (at > now) return at;
  throw invalid([{ pointer: "#/expires_at", detail: "This time is past; name a later one or leave it out." }]);
}

function toKey(row: StoredKey, now: number): Key {
  return {
    id: row.id,
    object: "key",
    name: row.name,
    prefix: row.prefix,
    account: row.accountId,
    scopes: row.scopes,
    limits: row.limits,
    created_at: rfc3339(row.createdAt),
    expires_at: rfc3339(row.expiresAt),
    revoked_at: rfc3339(row.revokedAt),
    last_used_at: rfc3339(row.lastUsedAt),
    previous_secret_until: row.previousUntil !== null && row.previousUntil > now ? rfc3339(row.previousUntil) : null,
  };
}
