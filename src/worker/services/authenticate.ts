import { hashKey, isWellFormedKey, type Scope } from "../../contract/keys.ts";
import type { Deps } from "../deps.ts";
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
/** How exact `last_used_at` is. */
const TOUCH_MS = 60_000;

interface Remembered {
  key: KnownKey;
  readAt: number;
}

const memories = new WeakMap<object, Map<string, Remembered>>();

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
  const hash = await hashKey(secret);
  const key = await lookUp(deps, hash);
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
  const memory = memoryOf(deps);
  for (const [hash, { key }] of memory) if (key.id === id) memory.delete(hash);
}

/** Lets this isolate look all keys of a changed account up anew. */
export function forgetAccount(deps: Deps, accountId: string): void {
  const memory = memoryOf(deps);
  for (const [hash, { key }] of memory) if (key.accountId === accountId) memory.delete(hash);
}

/** Lets this isolate look every key up anew. */
export function forgetEverybody(deps: Deps): void {
  memoryOf(deps).clear();
}

async function lookUp(deps: Deps, hash: string): Promise<KnownKey | null> {
  const memory = memoryOf(deps);
  const now = deps.now();
  const remembered = memory.get(hash);
  if (remembered && now - remembered.readAt < KEY_MEMORY_MS) return remembered.key;
  const key = await deps.keys.byHash(hash);
  memory.delete(hash);
  if (!key) return null;
  if (memory.size >= MEMORY_KEYS) memory.delete(memory.keys().next().value ?? "");
  memory.set(hash, { key, readAt: now });
  if (now - (key.lastUsedAt ?? 0) >= TOUCH_MS) deps.background(deps.keys.used(key.id, now));
  return key;
}

function memoryOf(deps: Deps): Map<string, Remembered> {
  const known = memories.get(deps.config);
  if (known) return known;
  const fresh = new Map<string, Remembered>();
  memories.set(deps.config, fresh);
  return fresh;
}
