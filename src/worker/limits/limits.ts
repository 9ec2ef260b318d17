import { MAX_MEMBERS, type UpdateGroup } from "../../contract/groups.ts";
import type { Bindings } from "../env.ts";
import { invalid, Refusal } from "../refusal.ts";
import {
  type Demand,
  type GroupSettings,
  isLimited,
  type QuotaLeft,
  type Rule,
  rulesOf,
  type Verdict,
} from "./rules.ts";

/**
 * The limits of every account, wherever their objects run. What a request asks of them is refused as `rate_limited` when it
 * is one of a flood.
 */
export interface Limits {
  /** Takes what generation `id` needs; null when no limit holds for it. */
  admit(accountId: string, id: string, demand: Demand, now: number): Promise<Verdict | null>;
  /** Notes what generation `id` would need, were it drawn by itself; false when no limit holds for it. */
  note(accountId: string, id: string, demand: Demand): Promise<boolean>;
  /** Takes what was noted for a generation; null when nothing is: it has what it needs. */
  admitNoted(accountId: string, id: string, now: number): Promise<Verdict | null>;
  /** Gives a generation's place back; with `refund` its pictures too. */
  release(accountId: string, id: string, refund: boolean): Promise<void>;
  /** Forgets an account's counts. */
  erase(accountId: string): Promise<void>;
  quotas(accountId: string, demand: Omit<Demand, "images">, now: number): Promise<QuotaLeft[]>;
  group(accountId: string, keyId: string, id: string): Promise<GroupSettings>;
  /** @throws {Refusal} invalid_request where too many users would have limits of their own */
  setGroup(accountId: string, keyId: string, id: string, change: UpdateGroup): Promise<GroupSettings>;
}

/** The binding counts per location and forgives some, but costs no hop. */
const COARSE_PERIOD_S = 10;
const MEMORY_SUBJECTS = 5_000;

/** A limit that is used up until then: asking again would change nothing. */
interface UsedUp {
  until: number;
  retryAt: number | null;
  violated: QuotaLeft;
}
/** By account, policy, subject and limit, whatever else a request says; the limit, so that raising one is felt at once. */
type Blocked = Map<string, UsedUp>;
const blocked = new WeakMap<object, Blocked>();

/** @param namespace the environment's `LIMITS`, or one that counts what goes there */
export function limitsOf(env: Pick<Bindings, "COARSE_LIMIT">, namespace: Bindings["LIMITS"]): Limits {
  // A stub that threw stays broken: every call makes its own.
  const object = (accountId: string) => namespace.get(namespace.idFromName(accountId));
  return {
    async admit(accountId, id, demand, now) {
      if (!mayBeLimited(demand)) return null;
      const memory = memoryOf(env);
      const known = recall(memory, accountId, demand, now);
      if (known) return known;
      await requireNoFlood(env, demand.keyId);
      const verdict = await object(accountId).admit(id, demand, now);
      if (verdict && !verdict.admitted) remember(memory, accountId, demand, verdict);
      return verdict;
    },
    async note(accountId, id, demand) {
      return mayBeLimited(demand) ? object(accountId).note(id, demand) : false;
    },
    async admitNoted(accountId, id, now) {
      return object(accountId).admitNoted(id, now);
    },
    async release(accountId, id, refund) {
      await object(accountId).release(id, refund);
    },
    async erase(accountId) {
      await object(accountId).erase();
    },
    async quotas(accountId, demand, now) {
      if (!mayBeLimited(demand)) return [];
      await requireNoFlood(env, demand.keyId);
      return object(accountId).quotas(demand, now);
    },
    async group(accountId, keyId, id) {
      await requireNoFlood(env, keyId);
      return object(accountId).group(id);
    },
    async setGroup(accountId, keyId, id, change) {
      await requireNoFlood(env, keyId);
      const changed = await object(accountId).setGroup(id, change);
      if (!changed)
        throw invalid([
          { pointer: "#/users", detail: `At most ${MAX_MEMBERS} users of a group have their own limits.` },
        ]);
      return changed;
    },
  };
}

/** What a group may, only the account's object knows. */
const mayBeLimited = (demand: Omit<Demand, "images">) => demand.group !== null || isLimited(rulesOf(demand));

/** The limits that only time gives back, as far as this isolate knows them, with what a demand takes of each. */
function timed(demand: Demand): (Rule & { wanted: number })[] {
  const { perMinute, daily } = rulesOf(demand);
  const requests = perMinute === null ? [] : [{ policy: "requests", limit: perMinute, subject: `key:${demand.keyId}` }];
  return [
    ...requests.map((rule) => ({ ...rule, wanted: 1 })),
    ...daily.map((rule) => ({ ...rule, wanted: demand.images })),
  ];
}

const nameOf = (accountId: string, { policy, limit, subject }: Rule) =>
  JSON.stringify([accountId, policy, subject, limit]);

function recall(memory: Blocked, accountId: string, demand: Demand, now: number): Verdict | null {
  for (const rule of timed(demand)) {
    const known = memory.get(nameOf(accountId, rule));
    if (!known || now >= known.until || rule.wanted <= known.violated.remaining) continue;
    const { violated, retryAt, until: lastsUntil } = known;
    // What else was left was somebody else's: this request may be another user's.
    return { admitted: false, violated, retryAt, lastsUntil, quotas: [violated] };
  }
  return null;
}

/** Limits of groups, which only the object knows, are not among them, and are asked for again. */
function remember(
  memory: Blocked,
  accountId: string,
  demand: Demand,
  { violated, retryAt, lastsUntil: until }: Extract<Verdict, { admitted: false }>,
): void {
  const rule = timed(demand).find(({ policy }) => policy === violated.policy);
  if (!rule || until === null) return;
  if (memory.size >= MEMORY_SUBJECTS) memory.delete(memory.keys().next().value ?? "");
  memory.set(nameOf(accountId, rule), { until, retryAt, violated });
}

/** Stops a flood before it costs a hop. What fails here refuses nobody: the object behind it counts exactly. */
async function requireNoFlood({ COARSE_LIMIT }: Pick<Bindings, "COARSE_LIMIT">, keyId: string): Promise<void> {
  try {
    if ((await COARSE_LIMIT.limit({ key: keyId })).success) return;
  } catch (error) {
    console.error(JSON.stringify({ event: "coarse_limit_unavailable", key: keyId, error: String(error) }));
    return;
  }
  throw new Refusal("rate_limited", `Far too many requests at once; try again in ${COARSE_PERIOD_S} s.`, {
    headers: { "Retry-After": String(COARSE_PERIOD_S) },
    violated: ["burst"],
  });
}

function memoryOf(env: object): Blocked {
  const known = blocked.get(env);
  if (known) return known;
  const fresh: Blocked = new Map();
  blocked.set(env, fresh);
  return fresh;
}
