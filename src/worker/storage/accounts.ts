import type { AccountLimits, Retention } from "../../contract/accounts.ts";

export interface AccountRow {
  id: string;
  operator: boolean;
  createdAt: number;
  limits: AccountLimits;
  retention: Retention;
  erasedAt: number | null;
  erasing: boolean;
}

export type AccountStore = ReturnType<typeof accountStore>;

/** The table `accounts`; rows are made with an account's first key (`keyStore.insert`). */
export function accountStore(db: D1Database) {
  const one = async (sql: string, ...values: unknown[]) => {
    const row = await db
      .prepare(sql)
      .bind(...values)
      .first<Columns>();
    return row && parse(row);
  };
  return {
    find: (id: string) => one("SELECT * FROM accounts WHERE id = ?", id),

    /** Limits and ages as they are from now on; the cron looks at the account at its next turn. */
    update: (id: string, limits: AccountLimits, retention: Retention) =>
      one(
        `UPDATE accounts SET limits = ?2, images_days = ?3, generations_days = ?4, swept_at = 0 WHERE id = ?1 RETURNING *`,
        id,
        JSON.stringify(limits),
        retention.images_days,
        retention.generations_days,
      ),
  };
}

interface Columns {
  id: string;
  operator: number;
  created_at: number;
  limits: string;
  images_days: number | null;
  generations_days: number | null;
  erased_at: number | null;
  erasing: number;
}

function parse(row: Columns): AccountRow {
  return {
    id: row.id,
    operator: row.operator === 1,
    createdAt: row.created_at,
    limits: JSON.parse(row.limits),
    retention: { images_days: row.images_days, generations_days: row.generations_days },
    erasedAt: row.erased_at,
    erasing: row.erasing === 1,
  };
}
