import type { KeyLimits, Scope } from "../../contract/keys.ts";

/** One row of `keys`; the secret itself is nowhere, `hash` is its SHA-256. */
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

/** A key with what its account may do. */
export interface KnownKey extends KeyRow {
  operator: boolean;
}

export type KeyStore = ReturnType<typeof keyStore>;

/** The tables `keys` and `accounts`. */
export function keyStore(db: D1Database) {
  return {
    /** Stores a key, and its account when that is new (`operator` says what a new account may do). */
    async insert(row: KeyRow, { operator }: { operator: boolean }): Promise<void> {
      await db.batch([
        db
          .prepare("INSERT INTO accounts (id, operator, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING")
          .bind(row.accountId, operator ? 1 : 0, row.createdAt),
        db
          .prepare(
            `INSERT INTO keys (id, account_id, hash, prefix, name, scopes, limits, created_at, expires_at, revoked_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
    },

    /** By the secret's hash, so nothing secret is compared. */
    async byHash(hash: string): Promise<KnownKey | null> {
      const row = await db
        .prepare("SELECT keys.*, accounts.operator FROM keys JOIN accounts ON accounts.id = account_id WHERE hash = ?")
        .bind(hash)
        .first<Columns & { operator: number }>();
      return row && { ...parse(row), operator: row.operator === 1 };
    },

    async find(accountId: string, id: string): Promise<KeyRow | null> {
      const row = await db
        .prepare("SELECT * FROM keys WHERE id = ? AND account_id = ?")
        .bind(id, accountId)
        .first<Columns>();
      return row && parse(row);
    },

    async list(accountId: string, limit: number, before?: string): Promise<KeyRow[]> {
      const { results } = await db
        .prepare("SELECT * FROM keys WHERE account_id = ?1 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?2")
        .bind(accountId, limit, before ?? null)
        .all<Columns>();
      return results.map(parse);
    },

    /** Revokes for good; the first revocation's time stays. False when there is no such key. */
    async revoke(accountId: string, id: string, at: number): Promise<boolean> {
      const { meta } = await db
        .prepare("UPDATE keys SET revoked_at = COALESCE(revoked_at, ?3) WHERE id = ?1 AND account_id = ?2")
        .bind(id, accountId, at)
        .run();
      return meta.changes > 0;
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
}

function parse(row: Columns): KeyRow {
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
  };
}
