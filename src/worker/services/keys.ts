import {
  type CreatedKey,
  type CreateKey,
  hashKey,
  isWellFormedKey,
  type Key,
  type KeyList,
  newKey,
  type Scope,
} from "../../contract/keys.ts";
import type { Deps } from "../deps.ts";
import { invalid, Refusal } from "../refusal.ts";
import type { KeyRow, KnownKey } from "../storage/keys.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { rfc3339 } from "./view.ts";

// RFC 6750 section 3: a 401 names the scheme.
const CHALLENGE = { headers: { "WWW-Authenticate": 'Bearer realm="vignette"' } };

/** The key of an `Authorization` header. @throws {Refusal} key_missing, _malformed, _unknown, _revoked, _expired */
export async function authenticate(deps: Deps, authorization: string | undefined): Promise<KnownKey> {
  if (!authorization)
    throw new Refusal("key_missing", "Send your API key in the header Authorization: Bearer vgt_….", CHALLENGE);
  const secret = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  if (!secret || !isWellFormedKey(secret))
    throw new Refusal(
      "key_malformed",
      "This is not a key of ours; copy it again, whole: Authorization: Bearer vgt_….",
      CHALLENGE,
    );
  const key = await deps.keys.byHash(await hashKey(secret));
  if (!key)
    throw new Refusal("key_unknown", "This key is not known here; check that it was made by this service.", CHALLENGE);
  if (key.revokedAt !== null)
    throw new Refusal("key_revoked", `This key was revoked at ${rfc3339(key.revokedAt)}; use another.`, CHALLENGE);
  if (key.expiresAt !== null && key.expiresAt <= deps.now())
    throw new Refusal("key_expired", `This key expired at ${rfc3339(key.expiresAt)}; make a new one.`, CHALLENGE);
  return key;
}

/** @throws {Refusal} scope_missing */
export function requireScope(key: KnownKey, scope: Scope): void {
  if (key.scopes.includes(scope)) return;
  const detail = `This needs a key with the scope ${scope}; this one has ${key.scopes.join(", ")}.`;
  throw new Refusal("scope_missing", detail, {
    headers: { "WWW-Authenticate": `Bearer error="insufficient_scope", scope="${scope}"` },
  });
}

/** Makes a key; the answer is the only place where the secret appears. */
export async function createKey(deps: Deps, maker: KnownKey, request: CreateKey): Promise<CreatedKey> {
  const now = deps.now();
  const expiresAt = request.expires_at === undefined ? null : Date.parse(request.expires_at);
  if (expiresAt !== null && expiresAt <= now)
    throw invalid([{ pointer: "#/expires_at", detail: "This time is past; name a later one or leave it out." }]);
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
  await deps.keys.insert(row, { operator: false });
  return { ...toKey(row), key: secret };
}

export async function listKeys(
  deps: Deps,
  accountId: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<KeyList> {
  const rows = await deps.keys.list(accountId, limit + 1, cursor === undefined ? undefined : readCursor("key", cursor));
  const page = rows.slice(0, limit);
  return { data: page.map(toKey), next_cursor: rows.length > limit ? writeCursor(page.at(-1)?.id ?? "") : null };
}

export async function getKey(deps: Deps, accountId: string, id: string): Promise<Key> {
  const row = await deps.keys.find(accountId, id);
  if (!row) throw noKey();
  return toKey(row);
}

/** Works at once: every request looks its key up. */
export async function revokeKey(deps: Deps, accountId: string, id: string): Promise<void> {
  if (!(await deps.keys.revoke(accountId, id, deps.now()))) throw noKey();
}

function noKey(): Refusal {
  return new Refusal("not_found", "There is no such key; GET /v1/keys lists yours.");
}

function toKey(row: KeyRow): Key {
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
  };
}
