import type { Usage, UsageQuery } from "../../contract/usage.ts";
import type { z } from "../../contract/zod.ts";
import type { Deps } from "../deps.ts";
import type { QuotaLeft } from "../limits/rules.ts";
import type { KnownKey } from "../storage/keys.ts";
import { unavailable } from "./admit.ts";
import { rfc3339 } from "./view.ts";

const DAY_MS = 86_400_000;

/** What the account drew per day, and what its key, the account and the named end user have left. */
export async function usageOf(
  deps: Deps,
  key: KnownKey,
  { days, user, group }: z.infer<typeof UsageQuery>,
): Promise<Usage> {
  const now = deps.now();
  const since = rfc3339(now - (days - 1) * DAY_MS).slice(0, 10);
  const demand = {
    keyId: key.id,
    user: user ?? null,
    group: group ?? null,
    key: key.limits,
    account: key.accountLimits,
  };
  const [data, quotas] = await Promise.all([
    deps.usage.days(key.accountId, since),
    // The days are worth telling without them.
    deps.limits.quotas(key.accountId, demand, now).catch(unavailable<QuotaLeft[]>(key.accountId, [])),
  ]);
  return {
    data,
    quotas: quotas.map(({ policy, limit, remaining, resetAt }) => ({
      policy,
      limit,
      remaining,
      resets_at: rfc3339(resetAt),
    })),
  };
}
