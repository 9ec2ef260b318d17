import type { Account } from "../../contract/index.ts";
import { command, group } from "../command.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, none, number, only } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

const ACCOUNT = { account: { type: "string", value: "ID", help: "operators: another account" } } as const;

const show = command({
  summary: "an account, its limits and how long it keeps things",
  options: ACCOUNT,
  async run({ json, account }, positionals, host) {
    none("account show", positionals);
    return withClient(host, {}, async (client) => print(await client.account.get(given({ account })), host, json));
  },
});

const LIMITS = {
  concurrent: "generations at once; its operator's",
  "images-per-day": "pictures a day; its operator's",
  "concurrent-per-user": "generations at once for each end user",
  "images-per-day-per-user": "pictures a day for each end user",
} as const;

const limits = command({
  summary: "set its limits; one left out no longer applies",
  options: {
    ...ACCOUNT,
    concurrent: { type: "string", value: "N", help: LIMITS.concurrent },
    "images-per-day": { type: "string", value: "N", help: LIMITS["images-per-day"] },
    "concurrent-per-user": { type: "string", value: "N", help: LIMITS["concurrent-per-user"] },
    "images-per-day-per-user": { type: "string", value: "N", help: LIMITS["images-per-day-per-user"] },
  },
  async run({ json, account, ...values }, positionals, host) {
    none("account limits", positionals);
    const chosen = given({
      concurrent: number("concurrent", values.concurrent),
      images_per_day: number("images-per-day", values["images-per-day"]),
      concurrent_per_user: number("concurrent-per-user", values["concurrent-per-user"]),
      images_per_day_per_user: number("images-per-day-per-user", values["images-per-day-per-user"]),
    });
    return withClient(host, {}, async (client) =>
      print(await client.account.update(given({ account, limits: chosen })), host, json),
    );
  },
});

const retention = command({
  summary: "set after how many days things are removed; one left out is kept",
  options: {
    ...ACCOUNT,
    images: { type: "string", value: "DAYS", help: "pictures" },
    generations: { type: "string", value: "DAYS", help: "generations with their prompts and pictures" },
  },
  async run({ json, account, images, generations }, positionals, host) {
    none("account retention", positionals);
    const chosen = given({
      images_days: number("images", images),
      generations_days: number("generations", generations),
    });
    return withClient(host, {}, async (client) =>
      print(await client.account.update(given({ account, retention: chosen })), host, json),
    );
  },
});

const erase = command({
  summary: "remove an account with all it has; there is no way back",
  args: "ID",
  details: "Its keys end at once. What it used per day stays, without prompts.",
  options: { yes: { type: "boolean", help: "you mean it" } },
  async run({ json, yes }, positionals, host) {
    const id = only("account", positionals);
    if (!yes) throw usage(`This removes every key, generation and picture of ${id}. Say --yes if you mean it.`);
    return withClient(host, {}, async (client) =>
      print(await client.account.erase({ account: id, confirm: id }), host, json),
    );
  },
});

function print(account: Account, host: Host, json: boolean | undefined): number {
  if (json) {
    printJson(host, account);
    return 0;
  }
  const { id, created_at, operator, limits, retention, erased_at, erasing } = account;
  const days = (value: number | null) => (value === null ? "as the instance says" : `${value} days`);
  host.stdout.write(
    table([
      ["id", id],
      ["created", created_at],
      ["operator", operator ? "yes" : "no"],
      ...Object.entries(limits).map(([name, value]) => [name, String(value)]),
      ["pictures are kept", days(retention.images_days)],
      ["generations are kept", days(retention.generations_days)],
      ...(erased_at ? [["erased", `${erased_at}${erasing ? ", under way" : ""}`]] : []),
    ]),
  );
  return 0;
}

export const account = group("account", "an account's limits, its memory, its end; with a key of scope admin", {
  show,
  limits,
  retention,
  erase,
});
