import { hashKey, newKey, Scope } from "../../src/contract/keys.ts";
import { keyStore } from "../../src/worker/storage/keys.ts";

const ACCOUNT = "local";
const CONCURRENT = 64;

/**
 * The development key: every scope, an operator's account, no daily limit.
 * @param {D1Database} database
 * @param {string | undefined} known the last run's key; kept as long as the database knows it and it is not revoked
 * @param {number} [now] milliseconds since 1970
 * @returns {Promise<string>} the key itself
 */
export async function ensureKey(database, known, now = Date.now()) {
  const keys = keyStore(database);
  const row = known && (await keys.byHash(await hashKey(known)));
  if (row && row.revokedAt === null) return known;
  const { id, secret, prefix, hash } = await newKey(now);
  await keys.insert(
    {
      id,
      accountId: ACCOUNT,
      hash,
      prefix,
      name: "development",
      scopes: [...Scope.options],
      limits: { concurrent: CONCURRENT },
      createdAt: now,
      expiresAt: null,
      revokedAt: null,
    },
    { operator: true },
  );
  return secret;
}
