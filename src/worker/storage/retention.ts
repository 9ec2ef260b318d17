/** An account whose old things are to be removed. */
export interface DueAccount {
  id: string;
  imagesDays: number | null;
  generationsDays: number | null;
  imagesSweptTo: string;
}

/** What holds where an account says nothing, in days; null: for ever. */
export interface RetentionDefaults {
  imagesDays: number | null;
  generationsDays: number | null;
}

export type RetentionStore = ReturnType<typeof retentionStore>;

/** Tables of what an account has besides its generations, answers and keys. */
const OF_AN_ACCOUNT = ["webhook_endpoints", "webhook_deliveries", "policies", "profiles", "favorites"] as const;

const LIST = "(SELECT value FROM json_each(?1))";

/**
 * Statements that take the images of these generations (a JSON array of ids) away, and note in the same transaction
 * which objects nobody refers to any more: copies are made from image rows, so afterwards nobody can begin to.
 */
export function dropImages(db: D1Database, ids: string): D1PreparedStatement[] {
  return [
    db
      .prepare(
        `INSERT OR IGNORE INTO doomed_objects (object_key) SELECT DISTINCT object_key FROM images
           WHERE generation_id IN ${LIST} AND NOT EXISTS (SELECT 1 FROM images AS other
             WHERE other.object_key = images.object_key AND other.generation_id NOT IN ${LIST}) RETURNING object_key`,
      )
      .bind(ids),
    db.prepare(`DELETE FROM images WHERE generation_id IN ${LIST}`).bind(ids),
  ];
}

/** Statements that forget generations (a JSON array of ids) with everything that repeats what they said. */
export function dropGenerations(db: D1Database, accountId: string, ids: string): D1PreparedStatement[] {
  return [
    ...dropImages(db, ids),
    db.prepare(`UPDATE idempotency SET generation_id = NULL, response = NULL WHERE generation_id IN ${LIST}`).bind(ids),
    // A message under way says the same bytes until it ends; the log keeps that it was sent, not what it said.
    db
      .prepare(`UPDATE webhook_deliveries SET payload = NULL WHERE generation_id IN ${LIST} AND status <> 'pending'`)
      .bind(ids),
    db.prepare(`DELETE FROM generations WHERE id IN ${LIST} AND account_id = ?2`).bind(ids, accountId),
  ];
}

/** What is removed because of its age, or with its account: across most tables. */
export function retentionStore(db: D1Database) {
  return {
    /** Accounts with a limit on age that were not looked at since `sweptBefore`. */
    async due(sweptBefore: number, limit: number, defaults: RetentionDefaults): Promise<DueAccount[]> {
      const { results } = await db
        .prepare(
          `SELECT id, COALESCE(images_days, ?3) AS images_days, COALESCE(generations_days, ?4) AS generations_days,
             images_swept_to FROM accounts WHERE swept_at < ?1 AND erased_at IS NULL
             AND COALESCE(images_days, ?3, generations_days, ?4) IS NOT NULL ORDER BY swept_at LIMIT ?2`,
        )
        .bind(sweptBefore, limit, defaults.imagesDays, defaults.generationsDays)
        .all<{ id: string; images_days: number | null; generations_days: number | null; images_swept_to: string }>();
      return results.map((row) => ({
        id: row.id,
        imagesDays: row.images_days,
        generationsDays: row.generations_days,
        imagesSweptTo: row.images_swept_to,
      }));
    },

    async swept(accountId: string, at: number): Promise<void> {
      await db.prepare("UPDATE accounts SET swept_at = ? WHERE id = ?").bind(at, accountId).run();
    },

    /** An account's generations between two ids, oldest first, and whether each has ended. */
    async between(accountId: string, after: string, before: string, limit: number) {
      const { results } = await db
        .prepare(
          `SELECT id, status NOT IN ('queued', 'running') AS ended FROM generations
             WHERE account_id = ? AND id > ? AND id < ? ORDER BY id LIMIT ?`,
        )
        .bind(accountId, after, before, limit)
        .all<{ id: string; ended: number }>();
      return results.map(({ id, ended }) => ({ id, ended: ended === 1 }));
    },

    /** Takes their pictures away, and with them what the cache could answer; answers the objects that nobody needs. */
    async expireImages(accountId: string, ids: string[]): Promise<string[]> {
      const list = JSON.stringify(ids);
      const [doomed] = await db.batch<{ object_key: string }>([
        ...dropImages(db, list),
        db.prepare(`UPDATE generations SET cache_key = NULL WHERE id IN ${LIST} AND cache_key IS NOT NULL`).bind(list),
        db.prepare("UPDATE accounts SET images_swept_to = ? WHERE id = ?").bind(ids.at(-1) ?? "", accountId),
      ]);
      return (doomed?.results ?? []).map(({ object_key }) => object_key);
    },

    /** Forgets generations; answers the objects that nobody needs any more. */
    async forget(accountId: string, ids: string[]): Promise<string[]> {
      const [doomed] = await db.batch<{ object_key: string }>(dropGenerations(db, accountId, JSON.stringify(ids)));
      return (doomed?.results ?? []).map(({ object_key }) => object_key);
    },

    /** Objects whose delete was not confirmed. */
    async doomed(limit: number): Promise<string[]> {
      const { results } = await db
        .prepare("SELECT object_key FROM doomed_objects LIMIT ?")
        .bind(limit)
        .all<{ object_key: string }>();
      return results.map(({ object_key }) => object_key);
    },

    async removed(objectKeys: string[]): Promise<void> {
      if (objectKeys.length === 0) return;
      await db.prepare(`DELETE FROM doomed_objects WHERE object_key IN ${LIST}`).bind(JSON.stringify(objectKeys)).run();
    },

    /** Begins to erase an account: at once it can do nothing more and tells nobody anything. */
    async beginErasure(accountId: string, at: number): Promise<void> {
      await db.batch(
        [
          `UPDATE accounts SET erased_at = COALESCE(erased_at, ?2), erasing = 1, limits = '{}', webhook_secret = NULL,
             previous_webhook_secret = NULL, previous_webhook_secret_until = NULL WHERE id = ?1`,
          `UPDATE keys SET revoked_at = COALESCE(revoked_at, ?2), name = '', prefix = '', previous_hash = NULL
             WHERE account_id = ?1`,
          "UPDATE generations SET webhook = NULL WHERE account_id = ?1 AND status IN ('queued', 'running') AND ?2 > 0",
          ...OF_AN_ACCOUNT.map((table) => `DELETE FROM ${table} WHERE account_id = ?1 AND ?2 > 0`),
        ].map((sql) => db.prepare(sql).bind(accountId, at)),
      );
    },

    async erasing(limit: number): Promise<string[]> {
      const { results } = await db
        .prepare("SELECT id FROM accounts WHERE erasing = 1 ORDER BY erased_at LIMIT ?")
        .bind(limit)
        .all<{ id: string }>();
      return results.map(({ id }) => id);
    },

    /** The last of it, what came since its beginning included: what remains is the account's id and its usage. */
    async endErasure(accountId: string): Promise<void> {
      await db.batch(
        [
          ...[...OF_AN_ACCOUNT, "idempotency", "keys"].map((table) => `DELETE FROM ${table} WHERE account_id = ?`),
          "UPDATE accounts SET erasing = 0 WHERE id = ?",
        ].map((sql) => db.prepare(sql).bind(accountId)),
      );
    },
  };
}
