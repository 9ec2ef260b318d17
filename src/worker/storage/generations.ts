import type { Parameters, Reading, Status } from "../../contract/generation.ts";
import { imageRow, type StoredImage } from "./images.ts";

/** One row of `generations`, its JSON columns parsed; times are milliseconds since 1970. */
export interface GenerationRow {
  id: string;
  accountId: string;
  keyId: string;
  status: Status;
  model: string;
  adapter: { id: string; scale: number } | null;
  prompt: string;
  negativePrompt: string | null;
  parameters: Parameters;
  user: string | null;
  metadata: Record<string, string>;
  createdAt: number;
  deadlineAt: number;
  /** Until then the row is a dispatcher's, or rests. */
  claimedUntil: number | null;
  dispatchedAt: number | null;
  attempts: number;
  startedAt: number | null;
  completedAt: number | null;
  runMs: number | null;
  reading: Reading | null;
  error: { code: string; message: string } | null;
}

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
  images: StoredImage[];
}

export interface ListFilter {
  accountId: string;
  limit: number;
  /** Only rows older than this id. */
  before?: string | undefined;
  status?: Status | undefined;
  user?: string | undefined;
}

export type GenerationStore = ReturnType<typeof generationStore>;

const UNFINISHED = "status IN ('queued', 'running')";
// SQLite uses a partial index only where its own condition is spelled out (sqlite.org/partialindex.html, section 3).
const WAITING = `${UNFINISHED} AND status = 'queued'`;

/**
 * The table `generations`. Every change of status is one guarded UPDATE that answers the new row, or null when the
 * row was not in a state that allows it: whoever gets the row did it, everybody else did not.
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
     * Stores a new row. Answers whether a generation made before `newcomersSince` waits for a runner that has room:
     * asked in the same statement, because every trip to D1 is on the way of every picture.
     */
    async insert(row: GenerationRow, newcomersSince: number): Promise<{ inLine: boolean }> {
      const columns = serialize(row);
      const names = Object.keys(columns);
      const stored = await db
        .prepare(
          `INSERT INTO generations (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
             RETURNING EXISTS (SELECT 1 FROM generations AS older WHERE ${WAITING} AND older.created_at < ?
               AND older.dispatched_at IS NULL AND older.claimed_until IS NULL) AS in_line`,
        )
        .bind(...Object.values(columns), newcomersSince)
        .first<{ in_line: number }>();
      return { inLine: stored?.in_line === 1 };
    },

    load: (id: string) => one("SELECT * FROM generations WHERE id = ?", id),

    find: (accountId: string, id: string) =>
      one("SELECT * FROM generations WHERE id = ? AND account_id = ?", id, accountId),

    async list({ accountId, limit, before, status, user }: ListFilter): Promise<GenerationRow[]> {
      const where = ["account_id = ?"];
      const values: unknown[] = [accountId];
      const filter = (condition: string, value: unknown) => {
        if (value === undefined) return;
        where.push(condition);
        values.push(value);
      };
      filter("id < ?", before);
      filter("status = ?", status);
      filter("user = ?", user);
      const { results } = await db
        .prepare(`SELECT * FROM generations WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ?`)
        .bind(...values, limit)
        .all<Columns>();
      return results.map(parse);
    },

    /** Takes a waiting row for one dispatcher until `until`. */
    claim: (id: string, now: number, until: number) =>
      one(
        `UPDATE generations SET claimed_until = ?3 WHERE id = ?1 AND status = 'queued' AND dispatched_at IS NULL
           AND (claimed_until IS NULL OR claimed_until <= ?2) RETURNING *`,
        id,
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
    dispatched: (id: string, at: number) =>
      one(
        `UPDATE generations SET dispatched_at = ?2, claimed_until = NULL, attempts = attempts + 1
           WHERE id = ?1 AND ${UNFINISHED} RETURNING *`,
        id,
        at,
      ),

    running: (id: string, at: number, deadlineAt: number) =>
      one(
        `UPDATE generations SET status = 'running', started_at = ?2, deadline_at = ?3,
           dispatched_at = COALESCE(dispatched_at, ?2) WHERE id = ?1 AND status = 'queued' RETURNING *`,
        id,
        at,
        deadlineAt,
      ),

    /** Puts a row that its runner lost back in line, to rest until `notBefore`; `dispatchedAt` names the lost dispatch. */
    requeue: (id: string, dispatchedAt: number, { notBefore, deadlineAt }: { notBefore: number; deadlineAt: number }) =>
      one(
        `UPDATE generations SET status = 'queued', started_at = NULL, dispatched_at = NULL, claimed_until = ?3,
           deadline_at = ?4 WHERE id = ?1 AND ${UNFINISHED} AND dispatched_at = ?2 RETURNING *`,
        id,
        dispatchedAt,
        notBefore,
        deadlineAt,
      ),

    finish: (id: string, { status, error, at }: Ending) =>
      one(
        `UPDATE generations SET status = ?2, completed_at = ?3, error_code = ?4, error_message = ?5, claimed_until = NULL
           WHERE id = ?1 AND ${UNFINISHED} RETURNING *`,
        id,
        status,
        at,
        error?.code ?? null,
        error?.message ?? null,
      ),

    /** Ends it with its images, all or nothing: D1 runs a batch as one transaction. */
    async succeed(id: string, { at, startedAt, runMs, reading, images }: Success): Promise<GenerationRow | null> {
      const update = db
        .prepare(
          `UPDATE generations SET status = 'succeeded', completed_at = ?2, started_at = COALESCE(started_at, ?3),
             run_ms = ?4, reading = ?5, claimed_until = NULL WHERE id = ?1 AND ${UNFINISHED} RETURNING *`,
        )
        .bind(id, at, startedAt, runMs, reading && JSON.stringify(reading));
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

    async remove(accountId: string, id: string): Promise<boolean> {
      const { meta } = await db
        .prepare("DELETE FROM generations WHERE id = ? AND account_id = ?")
        .bind(id, accountId)
        .run();
      return meta.changes > 0;
    },

    /** How many waiting generations are older; ids sort by time. */
    async ahead({ id, createdAt }: Pick<GenerationRow, "id" | "createdAt">): Promise<number> {
      const row = await db
        .prepare(`SELECT COUNT(*) AS ahead FROM generations WHERE ${WAITING} AND created_at <= ? AND id < ?`)
        .bind(createdAt, id)
        .first<{ ahead: number }>();
      return row?.ahead ?? 0;
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

interface Columns {
  id: string;
  account_id: string;
  key_id: string;
  status: Status;
  model: string;
  adapter_id: string | null;
  adapter_scale: number | null;
  prompt: string;
  negative_prompt: string | null;
  parameters: string;
  user: string | null;
  metadata: string;
  created_at: number;
  deadline_at: number;
  claimed_until: number | null;
  dispatched_at: number | null;
  attempts: number;
  started_at: number | null;
  completed_at: number | null;
  run_ms: number | null;
  reading: string | null;
  error_code: string | null;
  error_message: string | null;
}

function parse(row: Columns): GenerationRow {
  return {
    id: row.id,
    accountId: row.account_id,
    keyId: row.key_id,
    status: row.status,
    model: row.model,
    adapter: row.adapter_id === null ? null : { id: row.adapter_id, scale: row.adapter_scale ?? 1 },
    prompt: row.prompt,
    negativePrompt: row.negative_prompt,
    parameters: JSON.parse(row.parameters),
    user: row.user,
    metadata: JSON.parse(row.metadata),
    createdAt: row.created_at,
    deadlineAt: row.deadline_at,
    claimedUntil: row.claimed_until,
    dispatchedAt: row.dispatched_at,
    attempts: row.attempts,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    runMs: row.run_ms,
    reading: row.reading === null ? null : JSON.parse(row.reading),
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "" },
  };
}

function serialize(row: GenerationRow): Columns {
  return {
    id: row.id,
    account_id: row.accountId,
    key_id: row.keyId,
    status: row.status,
    model: row.model,
    adapter_id: row.adapter?.id ?? null,
    adapter_scale: row.adapter?.scale ?? null,
    prompt: row.prompt,
    negative_prompt: row.negativePrompt,
    parameters: JSON.stringify(row.parameters),
    user: row.user,
    metadata: JSON.stringify(row.metadata),
    created_at: row.createdAt,
    deadline_at: row.deadlineAt,
    claimed_until: row.claimedUntil,
    dispatched_at: row.dispatchedAt,
    attempts: row.attempts,
    started_at: row.startedAt,
    completed_at: row.completedAt,
    run_ms: row.runMs,
    reading: row.reading && JSON.stringify(row.reading),
    error_code: row.error?.code ?? null,
    error_message: row.error?.message ?? null,
  };
}
