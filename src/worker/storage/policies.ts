import { EVERYBODY, type SetPolicy } from "../../contract/policy.ts";

/** One row of `policies`. */
export interface PolicyRow {
  accountId: string;
  policy: SetPolicy;
  version: string;
  secret: string;
  /** The secret before the last rotation, which signs too until `previousUntil`. */
  previousSecret: string | null;
  previousUntil: number | null;
  updatedAt: number;
}

/** A policy that is being set: its secrets stay as they are where it had one. */
export type NewPolicy = Omit<PolicyRow, "previousSecret" | "previousUntil">;

export type PolicyStore = ReturnType<typeof policyStore>;

/** The table `policies`. */
export function policyStore(db: D1Database) {
  return {
    async find(accountId: string): Promise<PolicyRow | null> {
      const row = await db.prepare("SELECT * FROM policies WHERE account_id = ?").bind(accountId).first<Columns>();
      return row && parse(row);
    },

    /** What holds for an account: everybody's and its own. */
    async of(accountId: string): Promise<PolicyRow[]> {
      const { results } = await db
        .prepare("SELECT * FROM policies WHERE account_id IN (?, ?)")
        .bind(EVERYBODY, accountId)
        .all<Columns>();
      return results.map(parse);
    },

    /** Replaces it; the secret of the first one stays. */
    async save({ accountId, policy, version, secret, updatedAt }: NewPolicy): Promise<PolicyRow> {
      const row = await db
        .prepare(
          `INSERT INTO policies (account_id, policy, version, secret, updated_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (account_id) DO UPDATE SET policy = excluded.policy, version = excluded.version,
               updated_at = excluded.updated_at RETURNING *`,
        )
        .bind(accountId, JSON.stringify(policy), version, secret, updatedAt)
        .first<Columns>();
      if (!row) throw new Error(`The policy of ${accountId} was not stored.`);
      return parse(row);
    },

    /** The old secret signs beside the new one until `until`. Null: there is no policy with a moderation hook. */
    async rotate(
      accountId: string,
      { secret, until, version }: { secret: string; until: number; version: string },
    ): Promise<PolicyRow | null> {
      const row = await db
        .prepare(
          `UPDATE policies SET previous_secret = secret, previous_until = ?3, secret = ?2, version = ?4
             WHERE account_id = ?1 AND json_extract(policy, '$.moderation') IS NOT NULL RETURNING *`,
        )
        .bind(accountId, secret, until, version)
        .first<Columns>();
      return row && parse(row);
    },

    async remove(accountId: string): Promise<void> {
      await db.prepare("DELETE FROM policies WHERE account_id = ?").bind(accountId).run();
    },
  };
}

interface Columns {
  account_id: string;
  policy: string;
  version: string;
  secret: string;
  previous_secret: string | null;
  previous_until: number | null;
  updated_at: number;
}

function parse(row: Columns): PolicyRow {
  return {
    accountId: row.account_id,
    policy: JSON.parse(row.policy),
    version: row.version,
    secret: row.secret,
    previousSecret: row.previous_secret,
    previousUntil: row.previous_until,
    updatedAt: row.updated_at,
  };
}
