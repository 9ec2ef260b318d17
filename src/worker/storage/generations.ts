import type { Reading, Status } from "../../contract/generation.ts";
import { type Columns, DONE, type GenerationRow, insertInto, LEADING, parse, UNFINISHED } from "./generation-row.ts";
import { type IdempotencyRecord, insertStatement } from "./idempotency.ts";
import { imageRow, type StoredImage } from "./images.ts";

/** How a generation ends without a picture. */
export interface Ending {
  status: "failed" | "canceled";
  error: { code: string; message: string } | null;
  at: number;
}

/** How a generation ends with its pictures. */
export interface Success {
  at: number;
  startedAt: number;
  runMs: number | null;
  reading: Reading | null;
  notice: string | null;
  images: StoredImage[];
}

export interface ListFilter {
  accountId: string;
  limit: number;
  /** Only rows older than this id. */
  before?: string | undefined;
  status?: Status | undefined;
  user?: string | undefined;
  /** Only those with a shared picture. */
  shared?: boolean | undefined;
  /** A profile: only its favorites. */
  favoriteOf?: string | undefined;
}

export type GenerationStore = ReturnType<typeof generationStore>;

// SQLite uses a partial index only where its own condition is spelled out (sqlite.org/partialindex.html, section 3).
const WAITING = `${UNFINISHED} AND status = 'queued'`;
const NO_SUCCESS = "status <> 'succeeded'";
/** Whether pictures of a cache key, which is bound twice, are there or under way. */
const KNOWN = `(EXISTS (SELECT 1 FROM generations AS same WHERE ${DONE} = ?)
  OR EXISTS (SELECT 1 FROM generations AS same WHERE ${LEADING} = ?))`;

/**
 * The table `generations`. Every change of status is one guarded UPDATE that answers the new row, or null when the
 * row was not in a state that allows it: whoever gets the row did it, everybody else did not. Isolates' clocks differ: no
 * row starts before it was made, or ends before it started.
 */
export function generationStore(db: D1Database) {
  const one = async (sql: string, ...values: unknown[]) => {
    const row = await db
      .prepare(sql)
      .bind(...values)
      .first<Columns>();
    return row && parse(row);
  };
  return {
    /**
     * Stores a new row, and the answer to its request where that has an idempotency key: both or, when another request
     * was first with the key, neither. Answers whether a generation made before `newcomersSince` waits for a runner that
     * has room: asked in the same statement, because every trip to D1 is on the way of every picture.
     *
     * @param options.sole store nothing, and answer null, where the same pixels are there or under way
     */
    async insert(
      row: GenerationRow,
      newcomersSince: number,
      record: IdempotencyRecord | null,
      { sole = false } = {},
    ): Promise<{ inLine: boolean } | null> {
      const returning = `RETURNING EXISTS (SELECT 1 FROM generations AS older WHERE ${WAITING} AND older.created_at < ?
        AND older.dispatched_at IS NULL AND older.claimed_until IS NULL AND older.leader_id IS NULL) AS in_line`;
      const insert =
        sole && row.cacheKey !== null
          ? insertInto(db, row, `WHERE NOT ${KNOWN} ${returning}`, row.cacheKey, row.cacheKey, newcomersSince)
          : insertInto(db, row, `WHERE true ${returning}`, newcomersSince);
      const [stored] = await db.batch<{ in_line: number }>(record ? [insert, insertStatement(db, record)] : [insert]);
      const [made] = stored?.results ?? [];
      return made ? { inLine: made.in_line === 1 } : null;
    },

    load: (id: string) => one("SELECT * FROM generations WHERE id = ?", id),

    find: (accountId: string, id: string) =>
      one("SELECT * FROM generations WHERE id = ? AND account_id = ?", id, accountId),

    async list({ accountId, limit, before, status, user, shared, favoriteOf }: ListFilter): Promise<GenerationRow[]> {
      const underWay = status === "queued" || status === "running";
      // What is under way is little; SQLite would rather read all that an end user ever had.
      const from = underWay ? "generations INDEXED BY generations_by_status" : "generations";
      const where = ["account_id = ?"];
      if (status !== undefined && status !== "succeeded") where.push(NO_SUCCESS);
      const values: unknown[] = [accountId];
      const filter = (condition: string, value: unknown) => {
        if (value === undefined) return;
        where.push(condition);
        values.push(value);
      };
      filter("id < ?", before);
      filter("status = ?", status);
      filter("user = ?", user);
      if (shared)
        where.push("EXISTS (SELECT 1 FROM images WHERE generation_id = generations.id AND share_token IS NOT NULL)");
      filter(
        `id IN (SELECT generation_id FROM favorites
           WHERE favorites.account_id = generations.account_id AND profile_id = ?)`,
        favoriteOf,
      );
      const { results } = await db
        .prepare(`SELECT * FROM ${from} WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ?`)
        .bind(...values, limit)
        .all<Columns>();
      return results.map(parse);
    },

    /** Takes a waiting row for one dispatcher until `until`. */
    claim: (id: string, now: number, until: number) =>
      one(
        `UPDATE generations SET claimed_until = ?3 WHERE id = ?1 AND status = 'queued' AND dispatched_at IS NULL
           AND leader_id IS NULL AND (claimed_until IS NULL OR claimed_until <= ?2) RETURNING *`,
        id,
        now,
        until,
      ),

    /** Takes the one that has waited longest for one of these models; null when none waits. */
    claimOldest: (models: string[], now: number, until: number) =>
      one(
        `UPDATE generations SET claimed_until = ?3 WHERE id = (
           SELECT id FROM generations WHERE ${WAITING} AND dispatched_at IS NULL AND leader_id IS NULL
             AND (claimed_until IS NULL OR claimed_until <= ?2) AND deadline_at > ?2
             AND model IN (SELECT value FROM json_each(?1)) ORDER BY created_at LIMIT 1) RETURNING *`,
        JSON.stringify(models),
        now,
        until,
      ),

    /** Gives a claimed row back: no runner had room. */
    async release(id: string): Promise<void> {
      await db
        .prepare("UPDATE generations SET claimed_until = NULL WHERE id = ? AND dispatched_at IS NULL")
        .bind(id)
        .run();
    },

    /** A runner took it. The callback `start` may have come first, so a running row is marked too. */
    dispatched: (id: string, at: number, { runner, predictionId }: Pick<GenerationRow, "runner" | "predictionId">) =>
      one(
        `UPDATE generations SET dispatched_at = ?2, claimed_until = NULL, attempts = attempts + 1, runner = ?3,
           prediction_id = COALESCE(?4, prediction_id) WHERE id = ?1 AND ${UNFINISHED} RETURNING *`,
        id,
        at,
        runner,
        predictionId,
      ),

    /** Learns what the runner calls it; null when another prediction stands for it already, or it has ended. */
    adopt: (id: string, runner: string, predictionId: string) =>
      one(
        `UPDATE generations SET runner = ?2, prediction_id = ?3 WHERE id = ?1 AND ${UNFINISHED}
           AND (prediction_id = ?3 OR prediction_id IS NULL) AND (runner = ?2 OR runner IS NULL) RETURNING *`,
        id,
        runner,
        predictionId,
      ),

    /** The runner began it; answers it and those that wait for its pictures, as far as they did not know. */
    async running(id: string, at: number, deadlineAt: number): Promise<GenerationRow[]> {
      const { results } = await db
        .prepare(
          `UPDATE generations SET status = 'running', started_at = max(created_at, ?2), deadline_at = ?3,
             dispatched_at = iif(leader_id IS NULL, COALESCE(dispatched_at, ?2), NULL)
             WHERE (id = ?1 OR leader_id = ?1) AND status = 'queued' RETURNING *`,
        )
        .bind(id, at, deadlineAt)
        .all<Columns>();
      return results.map(parse);
    },

    /** Puts a row that its runner lost back in line, to rest until `notBefore`; `dispatchedAt` names the lost dispatch. */
    requeue: (id: string, dispatchedAt: number, { notBefore, deadlineAt }: { notBefore: number; deadlineAt: number }) =>
      one(
        `UPDATE generations SET status = 'queued', started_at = NULL, dispatched_at = NULL, runner = NULL,
           prediction_id = NULL, claimed_until = ?3, deadline_at = ?4 WHERE id = ?1 AND ${UNFINISHED} AND dispatched_at = ?2 RETURNING *`,
        id,
        dispatchedAt,
        notBefore,
        deadlineAt,
      ),

    finish: (id: string, { status, error, at }: Ending) =>
      one(
        `UPDATE generations SET status = ?2, completed_at = max(created_at, COALESCE(started_at, 0), ?3), error_code = ?4,
           error_message = ?5, claimed_until = NULL WHERE id = ?1 AND ${UNFINISHED} RETURNING *`,
        id,
        status,
        at,
        error?.code ?? null,
        error?.message ?? null,
      ),

    /** Ends it with its images, all or nothing: D1 runs a batch as one transaction. */
    async succeed(
      id: string,
      { at, startedAt, runMs, reading, notice, images }: Success,
    ): Promise<GenerationRow | null> {
      const update = db
        .prepare(
          `UPDATE generations SET status = 'succeeded', completed_at = max(created_at, COALESCE(started_at, ?3), ?2),
             started_at = COALESCE(started_at, ?3), run_ms = ?4, reading = ?5, notice = ?6, claimed_until = NULL WHERE id = ?1 AND ${UNFINISHED} RETURNING *`,
        )
        .bind(id, at, startedAt, runMs, reading && JSON.stringify(reading), notice);
      // The loser of a race finds its status changed (no rows) or the same positions taken (ignored).
      const insert = images.map((image) =>
        db
          .prepare(
            `INSERT OR IGNORE INTO images (token, generation_id, position, object_key, sha256, extension, content_type,
               bytes, width, height, seed, flagged, created_at)
             SELECT ?2, ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
             WHERE EXISTS (SELECT 1 FROM generations WHERE id = ?1 AND status = 'succeeded')`,
          )
          .bind(id, ...imageRow(image), at),
      );
      const [updated] = await db.batch<Columns>([update, ...insert]);
      const row = updated?.results[0];
      return row ? parse(row) : null;
    },

    /** How many waiting generations are older; ids sort by time. */
    async ahead({ id, createdAt }: Pick<GenerationRow, "id" | "createdAt">): Promise<number> {
      const row = await db
        .prepare(
          `SELECT COUNT(*) AS ahead FROM generations WHERE ${WAITING} AND created_at <= ? AND id < ? AND leader_id IS NULL`,
        )
        .bind(createdAt, id)
        .first<{ ahead: number }>();
      return row?.ahead ?? 0;
    },

    /** When the one was made that has waited longest for a runner, milliseconds since 1970; null when none waits. */
    async waitingSince(): Promise<number | null> {
      const row = await db
        .prepare(`SELECT MIN(created_at) AS since FROM generations WHERE ${WAITING} AND dispatched_at IS NULL`)
        .first<{ since: number | null }>();
      return row?.since ?? null;
    },

    /** What became of these; the ids of deleted ones are missing. */
    async statuses(ids: string[]): Promise<Map<string, Status>> {
      const { results } = await db
        .prepare("SELECT id, status FROM generations WHERE id IN (SELECT value FROM json_each(?))")
        .bind(JSON.stringify(ids))
        .all<{ id: string; status: Status }>();
      return new Map(results.map(({ id, status }) => [id, status]));
    },

    /** Ids of unfinished generations made before `createdBefore`, oldest first. */
    async unfinished(createdBefore: number, limit: number): Promise<string[]> {
      const { results } = await db
        .prepare(`SELECT id FROM generations WHERE ${UNFINISHED} AND created_at < ? ORDER BY created_at LIMIT ?`)
        .bind(createdBefore, limit)
        .all<{ id: string }>();
      return results.map(({ id }) => id);
    },
  };
}
