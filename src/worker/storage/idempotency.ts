/** An answer to a request with an `Idempotency-Key`; `docs/storage.md` explains the nulls. */
export interface IdempotencyRecord {
  accountId: string;
  key: string;
  /** SHA-256 of the request: another one may not use the key. */
  fingerprint: string;
  generationId: string | null;
  status: number | null;
  /** The answer's JSON. */
  response: string | null;
  createdAt: number;
}

export type IdempotencyStore = ReturnType<typeof idempotencyStore>;

/** How long a key is remembered, until the cron's next turn. */
const KEEP_MS = 24 * 60 * 60 * 1000;

/** The table `idempotency`. */
export function idempotencyStore(db: D1Database) {
  return {
    async find(accountId: string, key: string): Promise<IdempotencyRecord | null> {
      const row = await findStatement(db, accountId, key).first<IdempotencyColumns>();
      return row && parseRecord(row);
    },

    /**
     * Keeps an answer. False: its generation was deleted meanwhile, and nothing is kept.
     *
     * @throws where the key is taken
     */
    async insert(record: IdempotencyRecord): Promise<boolean> {
      const { meta } = await insertStatement(db, record).run();
      return meta.changes > 0;
    },

    /** Adds the answer to a request that was held back until its generation ended. */
    async answer(accountId: string, key: string, status: number, response: string): Promise<void> {
      await db
        .prepare(
          `UPDATE idempotency SET status = ?3, response = ?4
             WHERE account_id = ?1 AND key = ?2 AND response IS NULL AND generation_id IS NOT NULL`,
        )
        .bind(accountId, key, status, response)
        .run();
    },

    async expire(now: number): Promise<void> {
      await db
        .prepare("DELETE FROM idempotency WHERE created_at < ?")
        .bind(now - KEEP_MS)
        .run();
    },
  };
}

export interface IdempotencyColumns {
  account_id: string;
  key: string;
  fingerprint: string;
  generation_id: string | null;
  status: number | null;
  response: string | null;
  created_at: number;
}

/** Of whatever age: a key is taken for as long as its row is there. */
export function findStatement(db: D1Database, accountId: string, key: string): D1PreparedStatement {
  return db.prepare("SELECT * FROM idempotency WHERE account_id = ? AND key = ?").bind(accountId, key);
}

/**
 * Fails with a UNIQUE constraint when the key is taken, and with it the batch that it stands in. Stores nothing where the
 * generation was not stored either.
 */
export function insertStatement(db: D1Database, record: IdempotencyRecord): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO idempotency (account_id, key, fingerprint, generation_id, status, response, created_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM generations WHERE id = ?4)`,
    )
    .bind(
      record.accountId,
      record.key,
      record.fingerprint,
      record.generationId,
      record.status,
      record.response,
      record.createdAt,
    );
}

export function parseRecord(row: IdempotencyColumns): IdempotencyRecord {
  return {
    accountId: row.account_id,
    key: row.key,
    fingerprint: row.fingerprint,
    generationId: row.generation_id,
    status: row.status,
    response: row.response,
    createdAt: row.created_at,
  };
}
