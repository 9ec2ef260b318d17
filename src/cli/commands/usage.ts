import { command } from "../command.ts";
import { given, none, number } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

export const usage = command({
  summary: "pictures per day, and what is left of each limit",
  options: {
    days: { type: "string", value: "N", help: "how many days, today included; 30 when left out" },
    user: { type: "string", value: "ID", help: "show this end user's limits too" },
  },
  async run({ json, days, user }, positionals, host) {
    none("usage", positionals);
    const query = given({ days: number("days", days), user });
    return withClient(host, {}, async (client) => {
      const answer = await client.usage(query);
      if (json) {
        printJson(host, answer);
        return 0;
      }
      const rows = answer.data.map((day) => [day.date, day.generations, day.images, day.cached].map(String));
      host.stdout.write(table([["DAY", "GENERATIONS", "IMAGES", "FROM CACHE"], ...rows]));
      const quotas = answer.quotas.map(({ policy, limit, remaining, resets_at }) => [
        policy,
        `${remaining} of ${limit}`,
        resets_at ?? "as places get free",
      ]);
      if (quotas.length > 0) host.stdout.write(`\n${table([["LIMIT", "LEFT", "FULL AGAIN"], ...quotas])}`);
      return 0;
    });
  },
});
