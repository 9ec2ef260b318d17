import { MAX_MEMBERS, type UpdateGroup } from "../../contract/groups.ts";
import type { Bindings } from "../env.ts";
import { invalid } from "../refusal.ts";
import { type Demand, type GroupSettings, isLimited, type QuotaLeft, rulesOf, type Verdict } from "./rules.ts";

/** The limits of every account, wherever their objects run. */
export interface Limits {
  /** Takes what generation `id` needs; null when no limit holds for it. */
  admit(accountId: string, id: string, demand: Demand, now: number): Promise<Verdict | null>;
  /** Gives a generation's place back; with `refund` its pictures too. */
  release(accountId: string, id: string, refund: boolean): Promise<void>;
  /** Forgets an account's counts. */
  erase(accountId: string): Promise<void>;
  quotas(accountId: string, demand: Omit<Demand, "images">, now: number): Promise<QuotaLeft[]>;
  group(accountId: string, id: string): Promise<GroupSettings>;
  /** @throws {import("../refusal.ts").Refusal} invalid_request where too many users would have limits of their own */
  setGroup(accountId: string, id: string, change: UpdateGroup): Promise<GroupSettings>;
}

/** The binding counts per location and forgives some, but costs no hop. */
const COARSE_PERIOD_MS = 10_000;
const MEMORY_SUBJECTS = 5_000;

/** Who is known to be refused until when: asking again would change nothing. */
const blocked = new WeakMap<object, Map<string, { until: number; verdict: Verdict }>>();

/** @param namespace the environment's `LIMITS`, or one that counts what goes there */
export function limitsOf(env: Pick<Bindings, "COARSE_LIMIT">, namespace: Bindings["LIMITS"]): Limits {
  // A stub that threw stays broken: every call makes its own.
  const object = (accountId: string) => namespace.get(namespace.idFromName(accountId));
  return {
    async admit(accountId, id, demand, now) {
      if (!mayBeLimited(demand)) return null;
      const memory = memoryOf(env);
      // Limits are part of the name, so that raising one takes effect at once.
      const name = JSON.stringify([accountId, demand]);
      const known = memory.get(name);
      if (known && now < known.until) return known.verdict;
      const verdict = (await coarse(env, demand, now)) ?? (await object(accountId).admit(id, demand, now));
      memory.delete(name);
      if (!verdict) return null;
      // A group's limits are no part of the name, and are asked for again.
      const lasts = !verdict.admitted && !verdict.violated.policy.startsWith("group-");
      if (!verdict.admitted && lasts && verdict.retryAt !== null) {
        if (memory.size >= MEMORY_SUBJECTS) memory.delete(memory.keys().next().value ?? "");
        memory.set(name, { until: verdict.retryAt, verdict });
      }
      return verdict;
    },
    async release(accountId, id, refund) {
      await object(accountId).release(id, refund);
    },
    async erase(accountId) {
      await object(accountId).erase();
    },
    async quotas(accountId, demand, now) {
      return mayBeLimited(demand) ? object(accountId).quotas(demand, now) : [];
    },
    async group(accountId, id) {
      return object(accountId).group(id);
    },
    async setGroup(accountId, id, change) {
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

async function coarse(
  { COARSE_LIMIT }: Pick<Bindings, "COARSE_LIMIT">,
  { keyId }: Demand,
  now: number,
): Promise<Verdict | null> {
  const { success } = await COARSE_LIMIT.limit({ key: keyId });
  if (success) return null;
  const violated = {
    policy: "burst",
    limit: 0,
    remaining: 0,
    windowSeconds: COARSE_PERIOD_MS / 1000,
    resetAt: now + COARSE_PERIOD_MS,
  };
  return { admitted: false, violated, retryAt: now + COARSE_PERIOD_MS, quotas: [] };
}

function memoryOf(env: object): Map<string, { until: number; verdict: Verdict }> {
  const known = blocked.get(env);
  if (known) return known;
  const fresh = new Map<string, { until: number; verdict: Verdict }>();
  blocked.set(env, fresh);
  return fresh;
}
