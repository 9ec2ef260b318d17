import { DurableObject } from "cloudflare:workers";
import { MAX_MEMBERS, type UpdateGroup } from "../../contract/groups.ts";
import { newId } from "../../contract/ids.ts";
import type { Bindings } from "../env.ts";
import { generationStore } from "../storage/generations.ts";
import { type Bucket, filledAt, refill } from "./bucket.ts";
import {
  type Demand,
  type GroupSettings,
  isLimited,
  type QuotaLeft,
  type Rule,
  rulesOf,
  type Verdict,
} from "./rules.ts";

const DAY_MS = 86_400_000;
/** A place is taken before its row is written: younger ones are not asked about. */
const SETTLED_MS = 60_000;
/** How often D1 may be asked what became of what seems taken, and about how many at once. */
const RECONCILE_MS = 10_000;
const RECONCILE_LIMIT = 500;

/**
 * One account's counts, exact because one object owns them: places taken by unfinished generations, pictures of the
 * day, and a token bucket per key. An end that was never told is found by asking D1 when places or pictures run out.
 */
export class LimitsObject extends DurableObject<Bindings> {
  readonly #sql: SqlStorage;
  #reconciledAt = 0;
  /** Up to which generation; those after it come next. */
  #reconciledTo = "";

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS places (id TEXT, subject TEXT, at INTEGER, PRIMARY KEY (subject, id)) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS places_by_id ON places (id);
      CREATE TABLE IF NOT EXISTS spent (id TEXT, subject TEXT, day INTEGER, images INTEGER, PRIMARY KEY (id, subject)) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS spent_by_subject ON spent (subject, day);
      CREATE TABLE IF NOT EXISTS noted (id TEXT PRIMARY KEY, demand TEXT) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS counts (day INTEGER, subject TEXT, images INTEGER, PRIMARY KEY (day, subject)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, limits TEXT) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS members (group_id TEXT, user TEXT, limits TEXT, PRIMARY KEY (group_id, user)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS buckets (key_id TEXT PRIMARY KEY, tokens REAL, at INTEGER) WITHOUT ROWID;
    `);
  }

  /** Takes everything that generation `id` needs, or nothing; null when no limit holds for it. */
  async admit(id: string, demand: Demand, now: number): Promise<Verdict | null> {
    return this.#reconciling(now, () => (isLimited(this.#rules(demand)) ? this.#admit(id, demand, now) : null));
  }

  /** Notes what a generation would need that waits for another's pictures; false when no limit holds for it. */
  async note(id: string, demand: Demand): Promise<boolean> {
    if (!isLimited(this.#rules(demand))) return false;
    this.#sql.exec("INSERT OR REPLACE INTO noted (id, demand) VALUES (?, ?)", id, JSON.stringify(demand));
    return true;
  }

  /** Takes what was noted, once; null when nothing is noted (any more). */
  async admitNoted(id: string, now: number): Promise<Verdict | null> {
    return this.#reconciling(now, () => {
      const [row] = this.#sql.exec<{ demand: string }>("SELECT demand FROM noted WHERE id = ?", id);
      if (!row) return null;
      const verdict = this.#admit(id, JSON.parse(row.demand), now);
      if (verdict.admitted) this.#sql.exec("DELETE FROM noted WHERE id = ?", id);
      return verdict;
    });
  }

  /** Gives a generation's place back, and with `refund` its pictures; once, however often it is said. */
  async release(id: string, refund: boolean): Promise<void> {
    this.#release(id, refund);
  }

  /** Forgets everything: the account was erased. */
  async erase(): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      for (const table of ["places", "spent", "noted", "counts", "groups", "members", "buckets"])
        this.#sql.exec(`DELETE FROM ${table}`);
    });
  }

  async quotas(demand: Omit<Demand, "images">, now: number): Promise<QuotaLeft[]> {
    return this.#quotas({ ...demand, images: 0 }, now);
  }

  async group(id: string): Promise<GroupSettings> {
    const [row] = this.#sql.exec<{ limits: string }>("SELECT limits FROM groups WHERE id = ?", id);
    const members = this.#sql
      .exec<{ user: string; limits: string }>("SELECT user, limits FROM members WHERE group_id = ? ORDER BY user", id)
      .toArray();
    return {
      limits: row ? JSON.parse(row.limits) : {},
      users: Object.fromEntries(members.map(({ user, limits }) => [user, JSON.parse(limits)])),
    };
  }

  /** Null where too many users would have limits of their own; nothing is changed then. */
  async setGroup(id: string, { limits, users = {} }: UpdateGroup): Promise<GroupSettings | null> {
    const { users: before } = await this.group(id);
    const kept = new Set(Object.keys(before));
    for (const [user, own] of Object.entries(users)) own === null ? kept.delete(user) : kept.add(user);
    if (kept.size > MAX_MEMBERS) return null;
    this.ctx.storage.transactionSync(() => {
      if (limits)
        this.#sql.exec("INSERT OR REPLACE INTO groups (id, limits) VALUES (?, ?)", id, JSON.stringify(limits));
      for (const [user, own] of Object.entries(users)) {
        this.#sql.exec("DELETE FROM members WHERE group_id = ? AND user = ?", id, user);
        if (own !== null)
          this.#sql.exec(
            "INSERT INTO members (group_id, user, limits) VALUES (?, ?, ?)",
            id,
            user,
            JSON.stringify(own),
          );
      }
    });
    return this.group(id);
  }

  /** The rules for a demand, its group's among them; of a group's users only the one who asks. */
  #rules(demand: Omit<Demand, "images">) {
    const { group, user } = demand;
    if (group === null) return rulesOf(demand);
    const [row] = this.#sql.exec<{ limits: string }>("SELECT limits FROM groups WHERE id = ?", group);
    const [own] = this.#sql.exec<{ limits: string }>(
      "SELECT limits FROM members WHERE group_id = ? AND user = ?",
      group,
      user,
    );
    return rulesOf(demand, {
      limits: row ? JSON.parse(row.limits) : {},
      users: own && user !== null ? { [user]: JSON.parse(own.limits) } : {},
    });
  }

  /** Takes something; where it is refused for what an end gives back, once more after asking D1 for untold ends. */
  async #reconciling(now: number, take: () => Verdict | null): Promise<Verdict | null> {
    const verdict = take();
    if (!verdict || verdict.admitted || verdict.lastsUntil !== null) return verdict;
    if (now - this.#reconciledAt < RECONCILE_MS) return verdict;
    this.#reconciledAt = now;
    await this.#reconcile(now);
    return take();
  }

  #admit(id: string, demand: Demand, now: number): Verdict {
    const { perMinute, concurrent, daily } = this.#rules(demand);
    const before = this.#quotas(demand, now);
    const day = Math.floor(now / DAY_MS);
    for (const quota of before) {
      const ofDay = daily.find(({ policy }) => policy === quota.policy);
      if (quota.remaining >= (ofDay ? demand.images : 1)) continue;
      const bucket =
        quota.policy === "requests" && perMinute !== null ? this.#bucket(demand.keyId, perMinute, now) : null;
      const retryAt = bucket && perMinute !== null ? filledAt(bucket, perMinute, 1) : quota.resetAt;
      const lastsUntil = ofDay && this.#mayBeRefunded(day, ofDay.subject) ? null : retryAt;
      return { admitted: false, violated: quota, retryAt, lastsUntil, quotas: before };
    }
    this.ctx.storage.transactionSync(() => {
      if (perMinute !== null) this.#takeToken(demand.keyId, perMinute, now);
      for (const { subject } of concurrent)
        this.#sql.exec("INSERT OR IGNORE INTO places (id, subject, at) VALUES (?, ?, ?)", id, subject, now);
      for (const { subject } of daily) {
        this.#sql.exec(
          "INSERT INTO spent (id, subject, day, images) VALUES (?, ?, ?, ?)",
          id,
          subject,
          day,
          demand.images,
        );
        this.#count(day, subject, demand.images);
      }
    });
    return { admitted: true, quotas: this.#quotas(demand, now) };
  }

  #release(id: string, refund: boolean): void {
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("DELETE FROM places WHERE id = ?", id);
      this.#sql.exec("DELETE FROM noted WHERE id = ?", id);
      const spent = this.#sql
        .exec<{ subject: string; day: number; images: number }>("DELETE FROM spent WHERE id = ? RETURNING *", id)
        .toArray();
      if (refund) for (const { day, subject, images } of spent) this.#count(day, subject, -images);
    });
  }

  async #reconcile(now: number): Promise<void> {
    // Ids sort by time: the first one that this millisecond could have.
    const settled = newId("gen", Math.max(0, now - SETTLED_MS), new Uint8Array(16));
    const ids = this.#sql
      .exec<{ id: string }>(
        `SELECT id FROM places WHERE id > ?1 AND id < ?2 UNION SELECT id FROM spent WHERE id > ?1 AND id < ?2
           UNION SELECT id FROM noted WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3`,
        this.#reconciledTo,
        settled,
        RECONCILE_LIMIT,
      )
      .toArray()
      .map(({ id }) => id);
    // So many that are still under way must not hide those behind them.
    this.#reconciledTo = ids.length < RECONCILE_LIMIT ? "" : (ids.at(-1) ?? "");
    if (ids.length === 0) return;
    const statuses = await generationStore(this.env.DB).statuses(ids);
    for (const id of ids) {
      const status = statuses.get(id);
      if (status === "queued" || status === "running") continue;
      this.#release(id, status !== "succeeded");
    }
  }

  #quotas(demand: Demand, now: number): QuotaLeft[] {
    const { perMinute, concurrent, daily } = this.#rules(demand);
    const day = Math.floor(now / DAY_MS);
    const quotas: QuotaLeft[] = [];
    if (perMinute !== null) {
      const bucket = this.#bucket(demand.keyId, perMinute, now);
      quotas.push({
        policy: "requests",
        limit: perMinute,
        remaining: Math.floor(bucket.tokens),
        windowSeconds: 60,
        resetAt: filledAt(bucket, perMinute, perMinute),
      });
    }
    for (const rule of concurrent)
      quotas.push({ ...left(rule, this.#taken(rule.subject)), windowSeconds: null, resetAt: null });
    for (const rule of daily)
      quotas.push({
        ...left(rule, this.#spent(day, rule.subject)),
        windowSeconds: DAY_MS / 1000,
        resetAt: (day + 1) * DAY_MS,
      });
    return quotas;
  }

  #taken(subject: string): number {
    return this.#sql.exec<{ taken: number }>("SELECT COUNT(*) AS taken FROM places WHERE subject = ?", subject).one()
      .taken;
  }

  #spent(day: number, subject: string): number {
    const [row] = this.#sql.exec<{ images: number }>(
      "SELECT images FROM counts WHERE day = ? AND subject = ?",
      day,
      subject,
    );
    return row?.images ?? 0;
  }

  /** Whether something under way may yet give pictures of this day back. */
  #mayBeRefunded(day: number, subject: string): boolean {
    return (
      this.#sql.exec("SELECT 1 FROM spent WHERE subject = ? AND day = ? LIMIT 1", subject, day).toArray().length > 0
    );
  }

  #count(day: number, subject: string, images: number): void {
    // Yesterday stays for refunds of what is still being drawn.
    this.#sql.exec("DELETE FROM counts WHERE day < ?", day - 1);
    this.#sql.exec(
      `INSERT INTO counts (day, subject, images) VALUES (?1, ?2, max(0, ?3))
         ON CONFLICT (day, subject) DO UPDATE SET images = max(0, images + ?3)`,
      day,
      subject,
      images,
    );
  }

  #bucket(keyId: string, perMinute: number, now: number): Bucket {
    const [row] = this.#sql.exec<{ tokens: number; at: number }>(
      "SELECT tokens, at FROM buckets WHERE key_id = ?",
      keyId,
    );
    return refill(row ?? null, perMinute, now);
  }

  #takeToken(keyId: string, perMinute: number, now: number): void {
    const { tokens, at } = this.#bucket(keyId, perMinute, now);
    this.#sql.exec("INSERT OR REPLACE INTO buckets (key_id, tokens, at) VALUES (?, ?, ?)", keyId, tokens - 1, at);
  }
}

function left({ policy, limit }: Rule, used: number): Pick<QuotaLeft, "policy" | "limit" | "remaining"> {
  return { policy, limit, remaining: Math.max(0, limit - used) };
}
