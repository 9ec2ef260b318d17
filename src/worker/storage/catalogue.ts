import type { Model } from "../../contract/models.ts";

export interface Catalogue {
  models: Model[];
  fetchedAt: number;
}

export type CatalogueStore = ReturnType<typeof catalogueStore>;

/** The one row of `catalogue`: the last list of models that a runner gave. */
export function catalogueStore(db: D1Database) {
  return {
    async load(): Promise<Catalogue | null> {
      const row = await db
        .prepare("SELECT models, fetched_at FROM catalogue WHERE id = 1")
        .first<{ models: string; fetched_at: number }>();
      return row && { models: JSON.parse(row.models), fetchedAt: row.fetched_at };
    },

    async save({ models, fetchedAt }: Catalogue): Promise<void> {
      await db
        .prepare(
          `INSERT INTO catalogue (id, models, fetched_at) VALUES (1, ?, ?)
             ON CONFLICT (id) DO UPDATE SET models = excluded.models, fetched_at = excluded.fetched_at`,
        )
        .bind(JSON.stringify(models), fetchedAt)
        .run();
    },

    /** Answers when the database does. */
    async ping(): Promise<void> {
      await db.prepare("SELECT 1").first();
    },
  };
}
