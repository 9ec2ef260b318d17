import type { Client } from "../../client/index.ts";
import { type Sentence, type StringKey, sentence } from "./strings.ts";

/** One sentence for each limit that holds for a person, in the place they ask in. */
export async function quotasOf(api: Client, user: string, group: string | null): Promise<Sentence[]> {
  const { quotas } = await api.usage({ user, ...(group === null ? {} : { group }) });
  const personal = quotas.filter(({ policy }) => !/^(burst|requests)$/.test(policy));
  if (personal.length === 0) return [sentence("unlimited")];
  return personal.map(({ policy, limit, remaining }) => sentence(keyOf(policy), { limit, remaining }));
}

function keyOf(policy: string): StringKey {
  const daily = policy.includes("day");
  if (policy.startsWith("group-user-")) return daily ? "quota_here_day" : "quota_here_now";
  if (policy.startsWith("group-") && daily) return "quota_all_day";
  return daily ? "quota_left_day" : "quota_left_now";
}
