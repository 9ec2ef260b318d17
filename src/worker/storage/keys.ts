import type { AccountLimits } from "../../contract/accounts.ts";
import type { KeyLimits, Scope } from "../../contract/keys.ts";

/** One row of `keys`; the secrets themselves are nowhere, `hash` is the SHA-256 of the present one. */
export interface KeyRow {
  id: string;
  accountId: string;
  hash: string;
  prefix: string;
  name: string;
  scopes: Scope[];
  limits: KeyLimits;
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
}

/** A stored key with what happened to it since it was made. */
export interface StoredKey extends KeyRow {
  /** The secret before the last rotation, good until `previousUntil`. */
  previousHash: string | null;
  previousUntil: number | null;
  lastUsedAt: number | null;
}

/** A key with what its account may do. */
export interface KnownKey extends StoredKey {
  operator: boolean;
  accountLimits: AccountLimits;
  /** Of the policies that hold for it: everybody's, its account's. */
  policyVersions: string[];
  /** The newest of the account's webhook endpoints that were taken out of use because of what they answered. */
  lostEndpoint: { id: string; reason: "gone" | "failing" } | null;
}

/** What of a key can change. */
export type KeyChange = Pick<KeyRow, "name" | "scopes" | "limits" | "expiresAt">;

export type KeyStore = ReturnType<typeof keyStore>;

/** The tables `keys` and `accounts`. */
export function keyStore(db: D1Database) {
  return {
    /**
     * Stores a key, and its account when that is new (`operator` says what a new account may do). False: the account was
     * erased, and gets none.
     */
    async insert(row: KeyRow, { operator }: { operator: boolean }): Promise<boolean> {
      const [, stored] = await db.batch([
        db
          .prepare("INSERT INTO accounts (id, operator, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING")
          .bind(row.accountId, operator ? 1 : 0, row.createdAt),
        db
          .prepare(
            `INSERT INTO keys (id, account_id, hash, prefix, name, scopes, limits, created_at, expires_at, revoked_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM accounts WHERE id = ?2 AND erased_at IS NULL`,
          )
          .bind(
            row.id,
            row.accountId,
            row.hash,
            row.prefix,
            row.name,
            JSON.stringify(row.scopes),
            JSON.stringify(row.limits),
            row.createdAt,
            row.expiresAt,
            row.revokedAt,
          ),
      ]);
      return (stored?.meta.changes ?? 0) > 0;
    },

    /**
     * By the hash of its present or previous secret, so nothing secret is compared. A key of an erased account is as good
     * as revoked.
     */
    async byHash(hash: string): Promise<KnownKey | null> {
      const row = await db
        .prepare(
          `SELECT keys.*, accounts.operator, accounts.limits AS account_limits, accounts.erased_at,
             (SELECT version FROM policies WHERE account_id = '*') AS common_policy,
             (SELECT version FROM policies WHERE account_id = keys.account_id) AS own_policy,
             (SELECT json_object('id', id, 'reason', disabled_reason) FROM webhook_endpoints
               WHERE account_id = keys.account_id AND disabled_reason IN ('gone', 'failing')
               ORDER BY id DESC LIMIT 1) AS lost_endpoint
             FROM keys JOIN accounts ON accounts.id = account_id WHERE hash = ?1 OR previous_hash = ?1`,
        )
        .bind(hash)
        .first<KnownColumns>();
      if (!row) return null;
      return {
        ...parse(row),
        revokedAt: row.revoked_at ?? row.erased_at,
        operator: row.operator === 1,
        accountLimits: JSON.parse(row.account_limits),
        policyVersions: [row.common_policy, row.own_policy].filter((version) => version !== null),
        lostEndpoint: row.lost_endpoint === null ? null : JSON.parse(row.lost_endpoint),
      };
    },

    async find(accountId: string, id: string): Promise<StoredKey | null> {
      const row = await db
        .prepare("SELECT * FROM keys WHERE id = ? AND account_id = ?")
        .bind(id, accountId)
        .first<Columns>();
      return row && parse(row);
    },

    async list(accountId: string, limit: number, before?: string): Promise<StoredKey[]> {
      const { results } = await db
        .prepare("SELECT * FROM keys WHERE account_id = ?1 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?2")
        .bind(accountId, limit, before ?? null)
        .all<Columns>();
      return results.map(parse);
    },

    async update(accountId: string, id: string, change: KeyChange): Promise<StoredKey | null> {
      const row = await db
        .prepare(
          `UPDATE keys SET name = ?3, scopes = ?4, limits = ?5, expires_at = ?6
             WHERE id = ?1 AND account_id = ?2 RETURNING *`,
        )
        .bind(
          id,
          accountId,
          change.name,
          JSON.stringify(change.scopes),
          JSON.stringify(change.limits),
          change.expiresAt,
        )
        .first<Columns>();
      return row && parse(row);
    },

    /** Gives an active key a new secret; the old one works until `until`, one before that no more. */
    async rotate(
      accountId: string,
      id: string,
      { hash, prefix, until, now }: { hash: string; prefix: string; until: number; now: number },
    ): Promise<StoredKey | null> {
      const row = await db
        .prepare(
          `UPDATE keys SET previous_hash = hash, previous_until = ?5, hash = ?3, prefix = ?4
             WHERE id = ?1 AND account_id = ?2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?6)
             RETURNING *`,
        )
        .bind(id, accountId, hash, prefix, until, now)
        .first<Columns>();
      return row && parse(row);
    },

    /** Revokes for good; the first revocation's time stays. Null when there is no such key. */
    async revoke(accountId: string, id: string, at: number): Promise<StoredKey | null> {
      const row = await db
        .prepare("UPDATE keys SET revoked_at = COALESCE(revoked_at, ?3) WHERE id = ?1 AND account_id = ?2 RETURNING *")
        .bind(id, accountId, at)
        .first<Columns>();
      return row && parse(row);
    },

    async used(id: string, at: number): Promise<void> {
      await db.prepare("UPDATE keys SET last_used_at = ?2 WHERE id = ?1").bind(id, at).run();
    },
  };
}

interface Columns {
  id: string;
  account_id: string;
  hash: string;
  prefix: string;
  name: string;
  scopes: string;
  limits: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
  previous_hash: string | null;
  previous_until: number | null;
  last_used_at: number | null;
}

interface KnownColumns extends Columns {
  operator: number;
  account_limits: string;
  erased_at: number | null;
  common_policy: string | null;
  own_policy: string | null;
  lost_endpoint: string | null;
}

function parse(row: Columns): StoredKey {
  return {
    id: row.id,
    accountId: row.account_id,
    hash: row.hash,
    prefix: row.prefix,
    name: row.name,
    scopes: JSON.parse(row.scopes),
    limits: JSON.parse(row.limits),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    previousHash: row.previous_hash,
    previousUntil: row.previous_until,
    lastUsedAt: row.last_used_at,
  };
}
