import type { Host } from "../host.ts";
import { given, number, parse } from "../options.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

export const USAGE_HELP = `vignette usage [--days N] [--user U] [--json]   pictures per day, and what is left of each limit`;

/** `vignette usage`. */
export async function usage(args: string[], host: Host): Promise<number> {
  const { values } = parse(args, { days: { type: "string" }, user: { type: "string" }, json: { type: "boolean" } });
  const query = given({ days: number("days", values.days), user: values.user });
  return withClient(host, {}, async (client) => {
    const answer = await client.usage(query);
    if (values.json) {
      host.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
      return 0;
    }
    const days = answer.data.map((day) => [day.date, String(day.generations), String(day.images), String(day.cached)]);
    host.stdout.write(table([["DAY", "GENERATIONS", "IMAGES", "FROM CACHE"], ...days]));
    const quotas = answer.quotas.map(({ policy, limit, remaining, resets_at }) => [
      policy,
      `${remaining} of ${limit}`,
      resets_at ?? "as places get free",
    ]);
    if (quotas.length > 0) host.stdout.write(`\n${table([["LIMIT", "LEFT", "FULL AGAIN"], ...quotas])}`);
    return 0;
  });
}
