import { type CreatedKey, type Key, type KeyLimits, Scope } from "../../contract/index.ts";
import { command, group } from "../command.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, none, number, only, severalOf } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

const LIMITS = {
  "per-minute": { type: "string", value: "N", help: "requests a minute" },
  concurrent: { type: "string", value: "N", help: "generations at once" },
  "images-per-day": { type: "string", value: "N", help: "pictures a day (UTC)" },
} as const;

const ACCOUNT = { account: { type: "string", value: "ID", help: "operators: another account's" } } as const;

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
    ...LIMITS,
  },
  async run({ json, ...values }, positionals, host) {
    none("keys create", positionals);
    const { name } = values;
    if (name === undefined) throw usage("Give the key a --name that says who uses it.");
    const scopes = severalOf("scopes", values.scopes ?? "generate,read", Scope.options) ?? [];
    const limits = limitsOf(values);
    const request = given({ name, scopes, expires_at: time(values.expires), account: values.account, limits });
    return withClient(host, {}, async (client) => reveal(await client.keys.create(request), host, json));
  },
});

const update = command({
  summary: "change one; what is left out stays as it is",
  args: "ID",
  details: "A limit that is named replaces all that it had.",
  options: {
    name: { type: "string", value: "NAME", help: "who uses it" },
    scopes: { type: "string", value: "A,B", help: `of ${Scope.options.join(", ")}`, choices: Scope.options },
    expires: { type: "string", value: "TIME", help: "such as 2027-01-31T00:00:00Z, or never" },
    ...ACCOUNT,
    ...LIMITS,
    unlimited: { type: "boolean", help: "without any limit of its own" },
  },
  async run({ json, ...values }, positionals, host) {
    const id = only("key", positionals);
    const limits = limitsOf(values);
    const limited = Object.keys(limits).length > 0;
    if (limited && values.unlimited) throw usage("--unlimited takes no limit beside it.");
    const change = given({
      name: values.name,
      scopes: severalOf("scopes", values.scopes, Scope.options),
      expires_at: values.expires === "never" ? null : time(values.expires),
      limits: limited || values.unlimited ? limits : undefined,
    });
    if (Object.keys(change).length === 0) throw usage("Say what to change: `vignette keys update --help` lists it.");
    return withClient(host, {}, async (client) =>
      show(await client.keys.update(id, change, given({ account: values.account })), host, json),
    );
  },
});

const get = command({
  summary: "one with its limits, without its secret",
  args: "ID",
  options: ACCOUNT,
  async run({ json, account }, positionals, host) {
    const id = only("key", positionals);
    return withClient(host, {}, async (client) => show(await client.keys.get(id, given({ account })), host, json));
  },
});

const rotate = command({
  summary: "give one a new secret; the old one works on for a while",
  args: "ID",
  options: {
    overlap: { type: "string", value: "SECONDS", help: "how long; an hour when left out, 0 after a leak" },
    ...ACCOUNT,
  },
  async run({ json, overlap, account }, positionals, host) {
    const id = only("key", positionals);
    const overlapSeconds = number("overlap", overlap);
    return withClient(host, {}, async (client) =>
      reveal(await client.keys.rotate(id, given({ overlapSeconds, account })), host, json),
    );
  },
});

/** The secret alone on stdout, so that it can be piped into a secret store. */
function reveal(created: CreatedKey, host: Host, json: boolean | undefined): number {
  host.stderr.write(`${created.id}: keep this key, it is shown only once.\n`);
  if (json) printJson(host, created);
  else host.stdout.write(`${created.key}\n`);
  return 0;
}

function show(key: Key, host: Host, json: boolean | undefined): number {
  if (json) {
    printJson(host, key);
    return 0;
  }
  const { id, prefix, name, account, scopes, limits, created_at, last_used_at, previous_secret_until } = key;
  host.stdout.write(
    table([
      ["id", id],
      ["key", `${prefix}…`],
      ["name", name],
      ["account", account],
      ["scopes", scopes.join(",")],
      ...Object.entries(limits).map(([limit, value]) => [limit, String(value)]),
      ["created", created_at],
      ["last used", last_used_at ?? "never"],
      ["state", stateOf(key)],
      ...(previous_secret_until ? [["old secret works until", previous_secret_until]] : []),
    ]),
  );
  return 0;
}

const list = command({
  summary: "your keys, newest first",
  options: ACCOUNT,
  async run({ json, account }, positionals, host) {
    none("keys list", positionals);
    return withClient(host, {}, async (client) => {
      const keys: Key[] = [];
      let cursor: string | undefined;
      do {
        const page = await client.keys.list(given({ cursor, account, limit: 100 }));
        keys.push(...page.data);
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      if (json) printJson(host, keys);
      else host.stdout.write(table([["ID", "KEY", "NAME", "SCOPES", "LAST USED", "STATE"], ...keys.map(row)]));
      return 0;
    });
  },
});

function row(key: Key): string[] {
  const { id, prefix, name, scopes, last_used_at } = key;
  return [id, `${prefix}…`, name, scopes.join(","), last_used_at ?? "never", stateOf(key)];
}

function stateOf({ revoked_at, expires_at }: Key): string {
  if (revoked_at) return `revoked ${revoked_at}`;
  return expires_at ? `expires ${expires_at}` : "active";
}

const revoke = command({
  summary: "end one for good",
  args: "ID",
  options: ACCOUNT,
  async run({ json, account }, positionals, host) {
    const id = only("key", positionals);
    return withClient(host, {}, async (client) => {
      await client.keys.revoke(id, given({ account }));
      if (json) printJson(host, { id, revoked: true });
      else host.stdout.write(`${id} revoked\n`);
      return 0;
    });
  },
});

function limitsOf(values: { [Name in keyof typeof LIMITS]?: string }): KeyLimits {
  return given({
    requests_per_minute: number("per-minute", values["per-minute"]),
    concurrent: number("concurrent", values.concurrent),
    images_per_day: number("images-per-day", values["images-per-day"]),
  });
}

/** A time as the API takes it. */
function time(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  if (!Number.isNaN(at.getTime())) return at.toISOString();
  throw usage(`--expires is ${JSON.stringify(text)}; write a time such as 2027-01-31T00:00:00Z.`);
}

export const keys = group("keys", "API keys, with a key of scope admin", {
  create,
  list,
  show: get,
  update,
  rotate,
  revoke,
});
