import type { WebhookEndpoint, WebhookEventType } from "../../contract/webhooks.ts";

/** One row of `webhook_endpoints`; times are milliseconds since 1970. */
export interface EndpointRow {
  id: string;
  accountId: string;
  url: string;
  description: string;
  events: WebhookEventType[];
  secret: string;
  previousSecret: string | null;
  previousUntil: number | null;
  createdAt: number;
  /** When something last arrived there, or it was taken in use again: a later one that fails says something of it. */
  deliveredAt: number | null;
  disabledAt: number | null;
  disabledReason: WebhookEndpoint["disabled_reason"];
}

interface Columns {
  id: string;
  account_id: string;
  url: string;
  description: string;
  events: string;
  secret: string;
  previous_secret: string | null;
  previous_until: number | null;
  created_at: number;
  delivered_at: number | null;
  disabled_at: number | null;
  disabled_reason: WebhookEndpoint["disabled_reason"];
}

export type EndpointStore = ReturnType<typeof endpointStore>;

/** What signs messages to requests' own URLs. */
export type DefaultSecret = Pick<EndpointRow, "secret" | "previousSecret" | "previousUntil">;

const DEFAULT_SECRET = `webhook_secret AS secret, previous_webhook_secret AS previousSecret,
  previous_webhook_secret_until AS previousUntil`;

/** The table `webhook_endpoints`, and the accounts' default secrets. */
export function endpointStore(db: D1Database) {
  const one = async (sql: string, ...values: unknown[]) => {
    const row = await db
      .prepare(sql)
      .bind(...values)
      .first<Columns>();
    return row && parse(row);
  };
  return {
    /** Stores it unless the account has `most` already. False: it has. */
    async insert(row: EndpointRow, most: number): Promise<boolean> {
      const { meta } = await db
        .prepare(
          `INSERT INTO webhook_endpoints (id, account_id, url, description, events, secret, created_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT COUNT(*) FROM webhook_endpoints WHERE account_id = ?2) < ?8`,
        )
        .bind(
          row.id,
          row.accountId,
          row.url,
          row.description,
          JSON.stringify(row.events),
          row.secret,
          row.createdAt,
          most,
        )
        .run();
      return meta.changes > 0;
    },

    find: (accountId: string, id: string) =>
      one("SELECT * FROM webhook_endpoints WHERE id = ? AND account_id = ?", id, accountId),

    async list(accountId: string, limit: number, before?: string): Promise<EndpointRow[]> {
      const { results } = await db
        .prepare(
          "SELECT * FROM webhook_endpoints WHERE account_id = ?1 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?2",
        )
        .bind(accountId, limit, before ?? null)
        .all<Columns>();
      return results.map(parse);
    },

    /** Changes what is given. An endpoint in use again begins with a clean record: what was sent before counts for nothing. */
    update: (
      accountId: string,
      id: string,
      change: { url: string | null; events: string[] | null; description: string | null; disabled: boolean | null },
      now: number,
    ) =>
      one(
        `UPDATE webhook_endpoints SET url = COALESCE(?3, url), events = COALESCE(?4, events),
           description = COALESCE(?5, description),
           delivered_at = iif(?6 = 0 AND disabled_at IS NOT NULL, ?7, delivered_at),
           disabled_at = CASE ?6 WHEN 1 THEN COALESCE(disabled_at, ?7) WHEN 0 THEN NULL ELSE disabled_at END,
           disabled_reason = CASE ?6 WHEN 1 THEN COALESCE(disabled_reason, 'by_you') WHEN 0 THEN NULL ELSE disabled_reason END
           WHERE id = ?1 AND account_id = ?2 RETURNING *`,
        id,
        accountId,
        change.url,
        change.events && JSON.stringify(change.events),
        change.description,
        change.disabled === null ? null : Number(change.disabled),
        now,
      ),

    /** The old secret signs beside the new one until `until`. */
    rotate: (accountId: string, id: string, secret: string, until: number) =>
      one(
        `UPDATE webhook_endpoints SET previous_secret = secret, previous_until = ?4, secret = ?3
           WHERE id = ?1 AND account_id = ?2 RETURNING *`,
        id,
        accountId,
        secret,
        until,
      ),

    async remove(accountId: string, id: string): Promise<boolean> {
      const { meta } = await db
        .prepare("DELETE FROM webhook_endpoints WHERE id = ? AND account_id = ?")
        .bind(id, accountId)
        .run();
      return meta.changes > 0;
    },

    /** Takes it out of use; null when it was already. */
    disable: (id: string, reason: "gone" | "failing", at: number) =>
      one(
        "UPDATE webhook_endpoints SET disabled_at = ?2, disabled_reason = ?3 WHERE id = ?1 AND disabled_at IS NULL RETURNING *",
        id,
        at,
        reason,
      ),

    /** The account's secret for requests' own URLs; made from `fresh` when there is none. Null: the account was erased. */
    defaultSecret: (accountId: string, fresh: string) =>
      db
        .prepare(
          `UPDATE accounts SET webhook_secret = COALESCE(webhook_secret, ?2) WHERE id = ?1 AND erased_at IS NULL
             RETURNING ${DEFAULT_SECRET}`,
        )
        .bind(accountId, fresh)
        .first<DefaultSecret>(),

    /** The old one, where there was one, signs beside the new one until `until`. Null: the account was erased. */
    rotateDefaultSecret: (accountId: string, secret: string, until: number) =>
      db
        .prepare(
          `UPDATE accounts SET previous_webhook_secret = webhook_secret, previous_webhook_secret_until = ?3,
             webhook_secret = ?2 WHERE id = ?1 AND erased_at IS NULL RETURNING ${DEFAULT_SECRET}`,
        )
        .bind(accountId, secret, until)
        .first<DefaultSecret>(),
  };
}

function parse(row: Columns): EndpointRow {
  return {
    id: row.id,
    accountId: row.account_id,
    url: row.url,
    description: row.description,
    events: JSON.parse(row.events),
    secret: row.secret,
    previousSecret: row.previous_secret,
    previousUntil: row.previous_until,
    createdAt: row.created_at,
    deliveredAt: row.delivered_at,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
  };
}
