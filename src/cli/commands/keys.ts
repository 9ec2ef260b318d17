import { type CreatedKey, type Key, Scope } from "../../contract/index.ts";
import { command, group } from "../command.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, none, number, only, severalOf } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

const create = command({
  summary: "make a key; it is printed this once",
  options: {
    name: { type: "string", value: "NAME", help: "who uses it" },
    scopes: {
      type: "string",
      value: "A,B",
      help: `of ${Scope.options.join(", ")}; generate,read when left out`,
      choices: Scope.options,
    },
    expires: { type: "string", value: "TIME", help: "such as 2027-01-31T00:00:00Z; never when left out" },
    account: { type: "string", value: "ID", help: "operators: in another account, made when it is new" },
    "per-minute": { type: "string", value: "N", help: "requests a minute" },
    concurrent: { type: "string", value: "N", help: "generations at once" },
    "images-per-day": { type: "string", value: "N", help: "pictures a day (UTC)" },
  },
  async run({ json, ...values }, positionals, host) {
    none("keys create", positionals);
    const { name } = values;
    if (name === undefined) throw usage("Give the key a --name that says who uses it.");
    const scopes = severalOf("scopes", values.scopes ?? "generate,read", Scope.options) ?? [];
    const expires = values.expires === undefined ? undefined : new Date(values.expires);
    if (expires && Number.isNaN(expires.getTime()))
      throw usage(`--expires is ${JSON.stringify(values.expires)}; write a time such as 2027-01-31T00:00:00Z.`);
    const limits = given({
      requests_per_minute: number("per-minute", values["per-minute"]),
      concurrent: number("concurrent", values.concurrent),
      images_per_day: number("images-per-day", values["images-per-day"]),
    });
    return withClient(host, {}, async (client) => {
      const request = given({ name, scopes, expires_at: expires?.toISOString(), account: values.account, limits });
      return show(await client.keys.create(request), host, json);
    });
  },
});

const rotate = command({
  summary: "give one a new secret; the old one works on for a while",
  args: "ID",
  options: { overlap: { type: "string", value: "SECONDS", help: "how long; an hour when left out, 0 after a leak" } },
  async run({ json, overlap }, positionals, host) {
    const id = only("key", positionals);
    const overlapSeconds = number("overlap", overlap);
    return withClient(host, {}, async (client) =>
      show(await client.keys.rotate(id, given({ overlapSeconds })), host, json),
    );
  },
});

/** The secret alone on stdout, so that it can be piped into a secret store. */
function show(created: CreatedKey, host: Host, json: boolean | undefined): number {
  host.stderr.write(`${created.id}: keep this key, it is shown only once.\n`);
  if (json) printJson(host, created);
  else host.stdout.write(`${created.key}\n`);
  return 0;
}

const list = command({
  summary: "your keys, newest first",
  options: {},
  async run({ json }, positionals, host) {
    none("keys list", positionals);
    return withClient(host, {}, async (client) => {
      const keys: Key[] = [];
      let cursor: string | undefined;
      do {
        const page = await client.keys.list(given({ cursor, limit: 100 }));
        keys.push(...page.data);
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      if (json) printJson(host, keys);
      else host.stdout.write(table([["ID", "KEY", "NAME", "SCOPES", "LAST USED", "STATE"], ...keys.map(row)]));
      return 0;
    });
  },
});

function row({ id, prefix, name, scopes, revoked_at, expires_at, last_used_at }: Key): string[] {
  const state = revoked_at ? `revoked ${revoked_at}` : expires_at ? `expires ${expires_at}` : "active";
  return [id, `${prefix}…`, name, scopes.join(","), last_used_at ?? "never", state];
}

const revoke = command({
  summary: "end one for good",
  args: "ID",
  options: {},
  async run({ json }, positionals, host) {
    const id = only("key", positionals);
    return withClient(host, {}, async (client) => {
      await client.keys.revoke(id);
      if (json) printJson(host, { id, revoked: true });
      else host.stdout.write(`${id} revoked\n`);
      return 0;
    });
  },
});

export const keys = group("keys", "API keys, with a key of scope admin", { create, list, rotate, revoke });
