import type { UsageDay } from "../../contract/usage.ts";

export type UsageStore = ReturnType<typeof usageStore>;

/** The table `usage`, which only a trigger writes: migrations/0004 says when. */
export function usageStore(db: D1Database) {
  return {
    /** An account's days from `since` (`YYYY-MM-DD`) on, newest first. */
    async days(accountId: string, since: string): Promise<UsageDay[]> {
      const { results } = await db
        .prepare(
          `SELECT day AS date, SUM(generations) AS generations, SUM(images) AS images, SUM(cached) AS cached
             FROM usage WHERE account_id = ? AND day >= ? GROUP BY day ORDER BY day DESC`,
        )
        .bind(accountId, since)
        .all<UsageDay>();
      return results;
    },
  };
}
