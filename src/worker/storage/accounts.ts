import type { AccountLimits } from "../../contract/accounts.ts";

export interface AccountRow {
  id: string;
  operator: boolean;
  createdAt: number;
  limits: AccountLimits;
}

export type AccountStore = ReturnType<typeof accountStore>;

/** The table `accounts`; rows are made with an account's first key (`keyStore.insert`). */
export function accountStore(db: D1Database) {
  return {
    async find(id: string): Promise<AccountRow | null> {
      const row = await db.prepare("SELECT * FROM accounts WHERE id = ?").bind(id).first<Columns>();
      return row && parse(row);
    },

    async setLimits(id: string, limits: AccountLimits): Promise<AccountRow | null> {
      const row = await db
        .prepare("UPDATE accounts SET limits = ?2 WHERE id = ?1 RETURNING *")
        .bind(id, JSON.stringify(limits))
        .first<Columns>();
      return row && parse(row);
    },
  };
}

interface Columns {
  id: string;
  operator: number;
  created_at: number;
  limits: string;
}

function parse(row: Columns): AccountRow {
  return { id: row.id, operator: row.operator === 1, createdAt: row.created_at, limits: JSON.parse(row.limits) };
}
