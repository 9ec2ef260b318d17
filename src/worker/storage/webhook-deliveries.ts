/** One row of `webhook_deliveries`: one event for one receiver. Times are milliseconds since 1970. */
export interface DeliveryRow {
  id: string;
  accountId: string;
  /** Null: a request's own URL. */
  endpointId: string | null;
  url: string;
  generationId: string | null;
  type: string;
  payload: string | null;
  status: "pending" | "delivered" | "failed";
  attempts: number;
  nextAt: number;
  lastAt: number | null;
  lastStatus: number | null;
  lastError: string | null;
  createdAt: number;
}

/** How an attempt ended. */
export interface Attempt {
  at: number;
  status: DeliveryRow["status"];
  /** When the next one is due; of no meaning once it is over. */
  nextAt: number;
  httpStatus: number | null;
  error: string | null;
}

interface Columns {
  id: string;
  account_id: string;
  endpoint_id: string | null;
  url: string;
  generation_id: string | null;
  type: string;
  payload: string | null;
  status: DeliveryRow["status"];
  attempts: number;
  next_at: number;
  last_at: number | null;
  last_status: number | null;
  last_error: string | null;
  created_at: number;
}

export type DeliveryStore = ReturnType<typeof deliveryStore>;

/**
 * The table `webhook_deliveries`. Rows for generations' ends are made by triggers, in the transaction that ends them.
 * Every change is guarded, so whoever gets the row did it.
 */
export function deliveryStore(db: D1Database) {
  const one = async (sql: string, ...values: unknown[]) => {
    const row = await db
      .prepare(sql)
      .bind(...values)
      .first<Columns>();
    return row && parse(row);
  };
  return {
    async insert(row: Pick<DeliveryRow, "id" | "accountId" | "endpointId" | "url" | "type" | "payload" | "createdAt">) {
      await db
        .prepare(
          `INSERT INTO webhook_deliveries (id, account_id, endpoint_id, url, type, payload, status, attempts, next_at, created_at)
             VALUES (?, ?, ?, ?, ?, ?, 'pending', 0, ?7, ?7)`,
        )
        .bind(row.id, row.accountId, row.endpointId, row.url, row.type, row.payload, row.createdAt)
        .run();
    },

    /** What waits to tell of these generations' ends. */
    async ofGenerations(ids: string[]): Promise<string[]> {
      const { results } = await db
        .prepare(
          `SELECT id FROM webhook_deliveries WHERE status = 'pending' AND attempts = 0
             AND generation_id IN (SELECT value FROM json_each(?))`,
        )
        .bind(JSON.stringify(ids))
        .all<{ id: string }>();
      return results.map(({ id }) => id);
    },

    /** Takes a due one for one sender until `until`. */
    claim: (id: string, now: number, until: number) =>
      one(
        `UPDATE webhook_deliveries SET claimed_until = ?3 WHERE id = ?1 AND status = 'pending' AND next_at <= ?2
           AND (claimed_until IS NULL OR claimed_until <= ?2) RETURNING *`,
        id,
        now,
        until,
      ),

    /** When it is due, and nobody has it any more; null when it is over. */
    async dueAt(id: string): Promise<number | null> {
      const row = await db
        .prepare(
          `SELECT MAX(next_at, COALESCE(claimed_until, 0)) AS due_at FROM webhook_deliveries
             WHERE id = ? AND status = 'pending'`,
        )
        .bind(id)
        .first<{ due_at: number }>();
      return row?.due_at ?? null;
    },

    /** Keeps the body that every attempt sends. */
    async keep(id: string, payload: string): Promise<void> {
      await db
        .prepare("UPDATE webhook_deliveries SET payload = COALESCE(payload, ?2) WHERE id = ?1")
        .bind(id, payload)
        .run();
    },

    /** Notes how an attempt ended, and at its endpoint that something arrived. */
    async attempted(
      { id, endpointId }: DeliveryRow,
      { at, status, nextAt, httpStatus, error }: Attempt,
    ): Promise<void> {
      const note = db
        .prepare(
          `UPDATE webhook_deliveries SET status = ?2, attempts = attempts + 1, next_at = ?3, claimed_until = NULL,
             last_at = ?4, last_status = ?5, last_error = ?6 WHERE id = ?1 AND status = 'pending'`,
        )
        .bind(id, status, nextAt, at, httpStatus, error);
      const arrived = db.prepare("UPDATE webhook_endpoints SET delivered_at = ?2 WHERE id = ?1").bind(endpointId, at);
      await db.batch(status === "delivered" && endpointId !== null ? [note, arrived] : [note]);
    },

    async list(accountId: string, endpointId: string | null, limit: number, before?: string): Promise<DeliveryRow[]> {
      const { results } = await db
        .prepare(
          `SELECT * FROM webhook_deliveries WHERE account_id = ?1 AND endpoint_id IS ?2 AND (?4 IS NULL OR id < ?4)
             ORDER BY id DESC LIMIT ?3`,
        )
        .bind(accountId, endpointId, limit, before ?? null)
        .all<Columns>();
      return results.map(parse);
    },

    /** Sends an ended one again from the start; null when there is no such ended one. */
    again: (accountId: string, endpointId: string | null, id: string, now: number) =>
      one(
        `UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_at = ?4, claimed_until = NULL
           WHERE id = ?3 AND account_id = ?1 AND endpoint_id IS ?2 AND status <> 'pending' RETURNING *`,
        accountId,
        endpointId,
        id,
        now,
      ),

    find: (accountId: string, endpointId: string | null, id: string) =>
      one(
        "SELECT * FROM webhook_deliveries WHERE id = ?3 AND account_id = ?1 AND endpoint_id IS ?2",
        accountId,
        endpointId,
        id,
      ),

    /** Ids of those due that nobody has, oldest first. */
    async due(now: number, limit: number): Promise<string[]> {
      const { results } = await db
        .prepare(
          `SELECT id FROM webhook_deliveries WHERE status = 'pending' AND next_at <= ?1
             AND (claimed_until IS NULL OR claimed_until <= ?1) ORDER BY next_at LIMIT ?2`,
        )
        .bind(now, limit)
        .all<{ id: string }>();
      return results.map(({ id }) => id);
    },

    /** How many were due before this and are still waiting. */
    async overdue(before: number): Promise<number> {
      const row = await db
        .prepare("SELECT COUNT(*) AS overdue FROM webhook_deliveries WHERE status = 'pending' AND next_at < ?")
        .bind(before)
        .first<{ overdue: number }>();
      return row?.overdue ?? 0;
    },

    /** Forgets ended ones made before this. */
    async expire(before: number): Promise<void> {
      await db
        .prepare("DELETE FROM webhook_deliveries WHERE status <> 'pending' AND created_at < ?")
        .bind(before)
        .run();
    },
  };
}

function parse(row: Columns): DeliveryRow {
  return {
    id: row.id,
    accountId: row.account_id,
    endpointId: row.endpoint_id,
    url: row.url,
    generationId: row.generation_id,
    type: row.type,
    payload: row.payload,
    status: row.status,
    attempts: row.attempts,
    nextAt: row.next_at,
    lastAt: row.last_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
    createdAt: row.created_at,
  };
}
