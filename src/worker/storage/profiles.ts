export type ProfileStore = ReturnType<typeof profileStore>;

/** The tables `profiles` and `favorites`: what a client keeps for its end users. A favorite goes with its generation. */
export function profileStore(db: D1Database) {
  return {
    async preferences(accountId: string, id: string): Promise<Record<string, string>> {
      const row = await db
        .prepare("SELECT preferences FROM profiles WHERE account_id = ? AND id = ?")
        .bind(accountId, id)
        .first<{ preferences: string }>();
      return row ? (JSON.parse(row.preferences) as Record<string, string>) : {};
    },

    /** Sets what is named and takes away what is null (RFC 7396); answers what is kept then. */
    async setPreferences(accountId: string, id: string, change: Record<string, string | null>) {
      const row = await db
        .prepare(
          `INSERT INTO profiles (account_id, id, preferences) VALUES (?1, ?2, json_patch('{}', ?3))
             ON CONFLICT (account_id, id) DO UPDATE SET preferences = json_patch(preferences, ?3) RETURNING preferences`,
        )
        .bind(accountId, id, JSON.stringify(change))
        .first<{ preferences: string }>();
      return JSON.parse(row?.preferences ?? "{}") as Record<string, string>;
    },

    async addFavorite(accountId: string, id: string, generationId: string): Promise<void> {
      await db
        .prepare("INSERT OR IGNORE INTO favorites (account_id, profile_id, generation_id) VALUES (?, ?, ?)")
        .bind(accountId, id, generationId)
        .run();
    },

    async removeFavorite(accountId: string, id: string, generationId: string): Promise<void> {
      await db
        .prepare("DELETE FROM favorites WHERE account_id = ? AND profile_id = ? AND generation_id = ?")
        .bind(accountId, id, generationId)
        .run();
    },

    async forget(accountId: string, id: string): Promise<void> {
      await db.batch([
        db.prepare("DELETE FROM profiles WHERE account_id = ? AND id = ?").bind(accountId, id),
        db.prepare("DELETE FROM favorites WHERE account_id = ? AND profile_id = ?").bind(accountId, id),
      ]);
    },
  };
}
