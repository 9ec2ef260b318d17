import type { Verdict } from "../../contract/feedback.ts";

export interface FeedbackRow {
  generationId: string;
  accountId: string;
  user: string | null;
  verdict: Verdict;
  narrative: string;
  changedInto: string | null;
  createdAt: number;
}

export interface FeedbackFilter {
  accountId: string;
  limit: number;
  /** Only of generations older than this id. */
  before?: string | undefined;
  verdict?: Verdict | undefined;
  user?: string | undefined;
}

interface Columns {
  generation_id: string;
  account_id: string;
  user: string | null;
  verdict: Verdict;
  narrative: string;
  changed_into: string | null;
  created_at: number;
  model: string;
}

export type FeedbackStore = ReturnType<typeof feedbackStore>;

/** The table `feedback`: one word per generation, the last one. It goes with its generation. */
export function feedbackStore(db: D1Database) {
  return {
    async put(row: FeedbackRow): Promise<void> {
      const { generationId, accountId, user, verdict, narrative, changedInto, createdAt } = row;
      await db
        .prepare(
          `INSERT INTO feedback (generation_id, account_id, user, verdict, narrative, changed_into, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (generation_id) DO UPDATE SET user = excluded.user, verdict = excluded.verdict,
               narrative = excluded.narrative, changed_into = excluded.changed_into, created_at = excluded.created_at`,
        )
        .bind(generationId, accountId, user, verdict, narrative, changedInto, createdAt)
        .run();
    },

    /** Newest generation first, with the model that drew it. */
    async list({
      accountId,
      limit,
      before,
      verdict,
      user,
    }: FeedbackFilter): Promise<(FeedbackRow & { model: string })[]> {
      const where = ["feedback.account_id = ?"];
      const values: unknown[] = [accountId];
      const filter = (condition: string, value: unknown) => {
        if (value === undefined) return;
        where.push(condition);
        values.push(value);
      };
      filter("generation_id < ?", before);
      filter("feedback.user = ?", user);
      filter("verdict = ?", verdict);
      const { results } = await db
        .prepare(
          `SELECT feedback.*, generations.model FROM feedback JOIN generations ON generations.id = generation_id
             WHERE ${where.join(" AND ")} ORDER BY generation_id DESC LIMIT ?`,
        )
        .bind(...values, limit)
        .all<Columns>();
      return results.map((row) => ({
        generationId: row.generation_id,
        accountId: row.account_id,
        user: row.user,
        verdict: row.verdict,
        narrative: row.narrative,
        changedInto: row.changed_into,
        createdAt: row.created_at,
        model: row.model,
      }));
    },

    /** Takes it back; whether it was there. */
    async remove(accountId: string, generationId: string): Promise<boolean> {
      const { meta } = await db
        .prepare("DELETE FROM feedback WHERE generation_id = ? AND account_id = ?")
        .bind(generationId, accountId)
        .run();
      return meta.changes > 0;
    },
  };
}
