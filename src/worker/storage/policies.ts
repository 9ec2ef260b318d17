import { EVERYBODY, type SetPolicy } from "../../contract/policy.ts";

/** One row of `policies`. */
export interface PolicyRow {
  accountId: string;
  policy: SetPolicy;
  version: string;
  secret: string;
  updatedAt: number;
}

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
    async save({ accountId, policy, version, secret, updatedAt }: PolicyRow): Promise<PolicyRow> {
      const row = await db
        .prepare(
          `INSERT INTO policies (account_id, policy, version, secret, updated_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (account_id) DO UPDATE SET policy = excluded.policy, version = excluded.version,
               updated_at = excluded.updated_at RETURNING *`,
        )
        .bind(accountId, JSON.stringify(policy), version, secret, updatedAt)
        .first<Columns>();
      return row ? parse(row) : { accountId, policy, version, secret, updatedAt };
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
  updated_at: number;
}

function parse(row: Columns): PolicyRow {
  return {
    accountId: row.account_id,
    policy: JSON.parse(row.policy),
    version: row.version,
    secret: row.secret,
    updatedAt: row.updated_at,
  };
}
