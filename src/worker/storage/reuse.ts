import { type Columns, DONE, type GenerationRow, insertInto, LEADING, parse, UNFINISHED } from "./generation-row.ts";
import {
  findStatement,
  type IdempotencyColumns,
  type IdempotencyRecord,
  insertStatement,
  parseRecord,
} from "./idempotency.ts";
import { IMAGE_JSON, type ImageColumns, type ImageRow, parseImage } from "./images.ts";

export interface Known {
  /** A generation of the same pixels, done or under way, best first: done before under way, then the likest. */
  same: { row: GenerationRow; images: ImageRow[] } | null;
  record: IdempotencyRecord | null;
}

export type ReuseStore = ReturnType<typeof reuseStore>;

const LIKEST = "user IS ?2 AND metadata = ?3 ORDER BY id DESC LIMIT 1";
/** One search after the other: a sort would read every row of a picture that thousands share. */
const BEST = `COALESCE(
    (SELECT id FROM generations WHERE ${DONE} = ?1 AND ${LIKEST}), (SELECT id FROM generations WHERE ${DONE} = ?1 LIMIT 1),
    (SELECT id FROM generations WHERE ${LEADING} = ?1 AND ${LIKEST}),
    (SELECT id FROM generations WHERE ${LEADING} = ?1 ORDER BY id DESC LIMIT 1))`;

/** With its images as a JSON array of their columns. */
const SAME = `SELECT generations.*, (SELECT json_group_array(${IMAGE_JSON})
    FROM (SELECT * FROM images WHERE generation_id = generations.id ORDER BY position)) AS image_rows
  FROM generations WHERE id = ${BEST}`;

interface SameColumns extends Columns {
  image_rows: string;
}

function parseSame(row: SameColumns | null): Known["same"] {
  if (!row) return null;
  return { row: parse(row), images: (JSON.parse(row.image_rows) as ImageColumns[]).map(parseImage) };
}

/** What lets generations share pictures: across `generations`, `images` and `idempotency`. */
export function reuseStore(db: D1Database) {
  return {
    /** Everything known about a request before it is accepted, in one trip. */
    async lookUp(
      { accountId, user, metadata }: Pick<GenerationRow, "accountId" | "user" | "metadata">,
      cacheKey: string | null,
      idempotencyKey: string | null,
    ): Promise<Known> {
      const same = db.prepare(SAME).bind(cacheKey, user, JSON.stringify(metadata));
      // One statement costs half as much as a batch of one more.
      if (idempotencyKey === null) return { same: parseSame(await same.first<SameColumns>()), record: null };
      const [rows, records] = await db.batch([same, findStatement(db, accountId, idempotencyKey)]);
      const record = records?.results[0] as IdempotencyColumns | undefined;
      return {
        same: parseSame((rows?.results[0] as SameColumns | undefined) ?? null),
        record: record ? parseRecord(record) : null,
      };
    },

    /**
     * Stores a new generation that has already succeeded with `sourceId`'s pictures, under names of its own. False when
     * those were deleted meanwhile: nothing is stored then.
     */
    async insertCopy(
      row: GenerationRow,
      sourceId: string,
      tokens: string[],
      record: IdempotencyRecord | null,
    ): Promise<boolean> {
      const [inserted] = await db.batch([
        insertInto(db, row, `WHERE EXISTS (SELECT 1 FROM generations WHERE id = ? AND status = 'succeeded')`, sourceId),
        copyImages(db, row.id, sourceId, tokens, row.createdAt),
        ...(record ? [insertStatement(db, record)] : []),
      ]);
      return (inserted?.meta.changes ?? 0) > 0;
    },

    /** Unfinished generations that wait for this one's pictures, oldest first. */
    async followers(leaderId: string): Promise<GenerationRow[]> {
      const { results } = await db
        .prepare(`SELECT * FROM generations WHERE leader_id = ? AND ${UNFINISHED} ORDER BY id`)
        .bind(leaderId)
        .all<Columns>();
      return results.map(parse);
    },

    /** Ends a follower with its leader's pictures; null when either is not in a state for it. */
    async share(id: string, leaderId: string, tokens: string[], at: number): Promise<GenerationRow | null> {
      const [updated] = await db.batch<Columns>([
        db
          .prepare(
            `UPDATE generations SET status = 'succeeded', cached = 1, completed_at = ?3, leader_id = NULL,
               started_at = COALESCE(started_at, ?3), claimed_until = NULL,
               reading = (SELECT reading FROM generations WHERE id = ?2),
               notice = (SELECT notice FROM generations WHERE id = ?2)
             WHERE id = ?1 AND ${UNFINISHED} AND leader_id = ?2
               AND EXISTS (SELECT 1 FROM generations WHERE id = ?2 AND status = 'succeeded') RETURNING *`,
          )
          .bind(id, leaderId, at),
        copyImages(db, id, leaderId, tokens, at),
      ]);
      const row = updated?.results[0];
      return row ? parse(row) : null;
    },

    /** The followers of a leader that drew nothing follow the first of them, which is drawn by itself. */
    async promote(leaderId: string, firstId: string, deadlineAt: number): Promise<void> {
      await db
        .prepare(
          `UPDATE generations SET leader_id = iif(id = ?2, NULL, ?2), deadline_at = ?3, status = 'queued',
             started_at = NULL WHERE leader_id = ?1 AND ${UNFINISHED}`,
        )
        .bind(leaderId, firstId, deadlineAt)
        .run();
    },
  };
}

/** `tokens`: one for each image, in order; the bytes stay where they are. */
function copyImages(db: D1Database, id: string, sourceId: string, tokens: string[], at: number): D1PreparedStatement {
  return db
    .prepare(
      `INSERT OR IGNORE INTO images (token, generation_id, position, object_key, sha256, extension, content_type, bytes,
         width, height, seed, flagged, created_at)
       SELECT json_extract(?3, '$[' || position || ']'), ?1, position, object_key, sha256, extension, content_type, bytes,
         width, height, seed, flagged, ?4 FROM images WHERE generation_id = ?2
         AND EXISTS (SELECT 1 FROM generations WHERE id = ?1 AND status = 'succeeded')`,
    )
    .bind(id, sourceId, JSON.stringify(tokens), at);
}
