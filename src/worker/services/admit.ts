import type { ProblemCode } from "../../contract/problem.ts";
import type { Deps } from "../deps.ts";
import { rateLimitHeaders, secondsUntil } from "../limits/headers.ts";
import type { Demand, QuotaLeft, Verdict } from "../limits/rules.ts";
import { Refusal } from "../refusal.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { KnownKey } from "../storage/keys.ts";

/** A place that came free is the earliest that another request can be met; how soon that is, nobody knows. */
const PLACE_RETRY_SECONDS = 2;

export interface Admitted {
  /** Whether there is a place to give back at the end. */
  metered: boolean;
  headers: Record<string, string>;
}

/**
 * Counts a generation against every limit that holds for it, before it exists. Without the limits object, requests
 * are let through uncounted: a customer's pictures are worth more than an exact count.
 *
 * @throws {Refusal} rate_limited, too_many_generations, quota_exceeded
 */
export async function admit(deps: Deps, key: KnownKey, row: GenerationRow, group: string | null): Promise<Admitted> {
  const now = deps.now();
  const demand = demandOf(key, row, group);
  const { images } = demand;
  const verdict = await deps.limits.admit(key.accountId, row.id, demand, now).catch(unavailable(key.accountId, null));
  if (!verdict) return { metered: false, headers: {} };
  if (!verdict.admitted) throw refusal(verdict, images, now);
  return { metered: true, headers: rateLimitHeaders(verdict.quotas, now) };
}

/**
 * Notes what a generation would need that waits for another's pictures: as long as those come it costs nothing. Answers
 * whether there is something to give back at the end.
 */
export async function note(deps: Deps, key: KnownKey, row: GenerationRow, group: string | null): Promise<boolean> {
  const { accountId } = key;
  return deps.limits.note(accountId, row.id, demandOf(key, row, group)).catch(unavailable(accountId, false));
}

/** Counts a noted generation that is to be drawn by itself after all; answers why it must not be. Safe to run twice. */
export async function admitNoted(
  deps: Deps,
  { id, accountId, metered, parameters }: GenerationRow,
): Promise<Refusal | null> {
  if (!metered) return null;
  const now = deps.now();
  const verdict = await deps.limits.admitNoted(accountId, id, now).catch(unavailable(accountId, null));
  return verdict && !verdict.admitted ? refusal(verdict, parameters.num_images, now) : null;
}

/** Gives back what a generation took; what is lost on the way, the limits object finds out by itself. */
export async function release(
  deps: Deps,
  { id, accountId, metered }: { id: string; accountId: string; metered: boolean },
  { refund }: { refund: boolean },
): Promise<void> {
  if (!metered) return;
  await deps.limits.release(accountId, id, refund).catch((error) => {
    console.error(JSON.stringify({ event: "release_failed", generation: id, error: String(error) }));
  });
}

function demandOf(key: KnownKey, { user, parameters }: GenerationRow, group: string | null): Demand {
  const { id: keyId, limits, accountLimits: account } = key;
  return { keyId, user, group, images: parameters.num_images, key: limits, account };
}

/** What an account's object would have said, when it cannot be asked. */
export function unavailable<T>(account: string, otherwise: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Refusal) throw error;
    console.error(JSON.stringify({ event: "limits_unavailable", account, error: String(error) }));
    return otherwise;
  };
}

function refusal(
  { violated, retryAt, quotas }: Extract<Verdict, { admitted: false }>,
  images: number,
  now: number,
): Refusal {
  const seconds = retryAt === null ? PLACE_RETRY_SECONDS : Math.max(1, secondsUntil(retryAt, now));
  const [code, detail] = sentence(violated, images, seconds);
  // Both headers name one moment: `Retry-After` is not to be earlier than the end of the window (the draft's section 6).
  const until = now + seconds * 1000;
  const told = quotas.map((quota) =>
    quota.policy === violated.policy && quota.resetAt !== null ? { ...quota, resetAt: until } : quota,
  );
  return new Refusal(code, detail, {
    headers: { ...rateLimitHeaders(told, now), "Retry-After": String(seconds) },
    violated: [violated.policy],
  });
}

const WHOSE = [
  ["group-user-", "This end user in this group"],
  ["group-", "This group"],
  ["user-", "This end user"],
  ["account-", "This account"],
] as const;

function sentence(
  { policy, limit, remaining, windowSeconds }: QuotaLeft,
  images: number,
  seconds: number,
): [ProblemCode, string] {
  if (policy === "requests")
    return ["rate_limited", `This key may start ${limit} generations a minute; try again in ${seconds} s.`];
  if (limit === 0) return ["user_blocked", "This end user may draw nothing in this group; who runs it can allow it."];
  const whose = WHOSE.find(([prefix]) => policy.startsWith(prefix))?.[1] ?? "This key";
  if (windowSeconds === null)
    return [
      "too_many_generations",
      `${whose} may have ${limit} generations at once; wait for one to end or cancel one.`,
    ];
  const left = remaining === 0 ? "none is left today" : `${remaining} are left today and ${images} were asked for`;
  return [
    "quota_exceeded",
    `${whose} may have ${limit} pictures a day (UTC); ${left}. The next day begins in ${seconds} s.`,
  ];
}
