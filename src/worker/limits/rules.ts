import type { AccountLimits } from "../../contract/accounts.ts";
import type { GroupLimits, MemberLimits } from "../../contract/groups.ts";
import type { KeyLimits } from "../../contract/keys.ts";

/** Who asks for how much, with the limits that hold for them. */
export interface Demand {
  keyId: string;
  user: string | null;
  /** A group of end users, whose limits its account's object knows. */
  group: string | null;
  images: number;
  key: KeyLimits;
  account: AccountLimits;
}

/** One limit that holds: `subject` is whose places or pictures are counted. */
export interface Rule {
  policy: string;
  limit: number;
  subject: string;
}

export interface Rules {
  perMinute: number | null;
  concurrent: Rule[];
  daily: Rule[];
}

/** What is left of one limit. */
export interface QuotaLeft {
  policy: string;
  limit: number;
  remaining: number;
  /** Length of the window; null where places are counted, not time. */
  windowSeconds: number | null;
  /** When all of it is there again, in milliseconds since 1970. */
  resetAt: number | null;
}

export type Verdict =
  | { admitted: true; quotas: QuotaLeft[] }
  /**
   * `retryAt`: when the same demand can be met at the earliest; null when nobody knows. `lastsUntil`: until then asking
   * again changes nothing; null when the end of what is under way may change it at any time.
   */
  | { admitted: false; violated: QuotaLeft; retryAt: number | null; lastsUntil: number | null; quotas: QuotaLeft[] };

/** A group's limits, with those of its users who have their own. */
export interface GroupSettings {
  limits: GroupLimits;
  users: Record<string, MemberLimits>;
}

/** The limits that hold for a demand, the narrowest subject first. */
export function rulesOf(
  { keyId, user, group, key, account }: Omit<Demand, "images">,
  settings: GroupSettings | null = null,
): Rules {
  const ofUser = user === null ? undefined : account;
  const own = user !== null && settings && Object.hasOwn(settings.users, user) ? settings.users[user] : undefined;
  const inGroup = user === null ? undefined : settings?.limits;
  const member = `group:${group} user:${user}`;
  return {
    perMinute: key.requests_per_minute ?? null,
    concurrent: [
      rule("group-user-concurrent", own?.concurrent ?? inGroup?.concurrent_per_user, member),
      rule("user-concurrent", ofUser?.concurrent_per_user, `user:${user}`),
      rule("group-concurrent", settings?.limits.concurrent, `group:${group}`),
      rule("concurrent", key.concurrent, `key:${keyId}`),
      rule("account-concurrent", account.concurrent, "account"),
    ].filter((each) => each !== null),
    daily: [
      rule("group-user-images-per-day", own?.images_per_day ?? inGroup?.images_per_day_per_user, member),
      rule("user-images-per-day", ofUser?.images_per_day_per_user, `user:${user}`),
      rule("group-images-per-day", settings?.limits.images_per_day, `group:${group}`),
      rule("images-per-day", key.images_per_day, `key:${keyId}`),
      rule("account-images-per-day", account.images_per_day, "account"),
    ].filter((each) => each !== null),
  };
}

export function isLimited({ perMinute, concurrent, daily }: Rules): boolean {
  return perMinute !== null || concurrent.length > 0 || daily.length > 0;
}

function rule(policy: string, limit: number | undefined, subject: string): Rule | null {
  return limit === undefined ? null : { policy, limit, subject };
}
