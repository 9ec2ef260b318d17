import { hashKey, isWellFormedKey, type Scope } from "../../contract/keys.ts";
import type { Deps } from "../deps.ts";
import { Memory } from "../memory.ts";
import { Refusal } from "../refusal.ts";
import type { KnownKey } from "../storage/keys.ts";
import { rfc3339 } from "./view.ts";

/**
 * How long an isolate answers from memory: a trip to D1 less for every request, and the longest that a revoked key can
 * go on working in another isolate. The isolate that revokes forgets at once.
 */
export const KEY_MEMORY_MS = 30_000;
/** How many keys one isolate remembers. */
const MEMORY_KEYS = 5_000;
/** Of these scopes a key is looked up at each use: what they change would outlive the key, and undo that it was revoked. */
const LOOKED_UP: readonly Scope[] = ["admin", "webhooks"];
/**
 * How long an isolate knows that there is no such key. Nobody can have a key's secret before the key is in D1, and none is
 * used again, so this delays no new key; it spares the trip for a client that goes on with one that is gone.
 */
const UNKNOWN_MEMORY_MS = 5_000;
/** How exact `last_used_at` is. */
const TOUCH_MS = 60_000;

const keys = new Memory<KnownKey>({ ms: KEY_MEMORY_MS, entries: MEMORY_KEYS });
const unknown = new Memory<true>({ ms: UNKNOWN_MEMORY_MS, entries: MEMORY_KEYS });

// RFC 6750 section 3: a 401 names the scheme.
const CHALLENGE = { headers: { "WWW-Authenticate": 'Bearer realm="vignette"' } };

/**
 * The key of an `Authorization` header.
 *
 * @param scope what it is used for
 * @throws {Refusal} key_missing, _malformed, _unknown, _revoked, _expired
 */
export async function authenticate(deps: Deps, authorization: string | undefined, scope: Scope): Promise<KnownKey> {
  if (!authorization)
    throw new Refusal("key_missing", "Send your API key in the header Authorization: Bearer vgt_….", CHALLENGE);
  const secret = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  if (!secret || !isWellFormedKey(secret))
    throw new Refusal(
      "key_malformed",
      "This is not a key of ours; copy it again, whole: Authorization: Bearer vgt_….",
      CHALLENGE,
    );
  const hash = await hashKey(secret);
  const key = await find(deps, hash, scope);
  if (!key)
    throw new Refusal("key_unknown", "This key is not known here; check that it was made by this service.", CHALLENGE);
  const now = deps.now();
  if (key.revokedAt !== null)
    throw new Refusal("key_revoked", `This key was revoked at ${rfc3339(key.revokedAt)}; use another.`, CHALLENGE);
  if (key.expiresAt !== null && key.expiresAt <= now)
    throw new Refusal("key_expired", `This key expired at ${rfc3339(key.expiresAt)}; make a new one.`, CHALLENGE);
  if (hash !== key.hash && (key.previousUntil ?? 0) <= now)
    throw new Refusal("key_expired", "This key was rotated; use the secret that the rotation gave.", CHALLENGE);
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

/** Lets this isolate look a changed key up anew. */
export function forgetKey(deps: Deps, id: string): void {
  keys.forget(deps.config, (key) => key.id === id);
}

/** Lets this isolate look all keys of a changed account up anew. */
export function forgetAccount(deps: Deps, accountId: string): void {
  keys.forget(deps.config, (key) => key.accountId === accountId);
}

/** Lets this isolate look every key up anew. */
export function forgetEverybody(deps: Deps): void {
  keys.forget(deps.config, () => true);
}

async function find(deps: Deps, hash: string, scope: Scope): Promise<KnownKey | null> {
  const now = deps.now();
  if (unknown.get(deps.config, hash, now)) return null;
  const known = LOOKED_UP.includes(scope) ? undefined : keys.get(deps.config, hash, now);
  return known ?? lookUp(deps, hash, now);
}

async function lookUp(deps: Deps, hash: string, now: number): Promise<KnownKey | null> {
  const key = await deps.keys.byHash(hash);
  if (!key) {
    keys.delete(deps.config, hash);
    unknown.set(deps.config, hash, true, now);
    return null;
  }
  keys.set(deps.config, hash, key, now);
  if (now - (key.lastUsedAt ?? 0) >= TOUCH_MS) deps.background(deps.keys.used(key.id, now));
  return key;
}
