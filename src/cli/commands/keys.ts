import { type CreatedKey, type Key, Scope } from "../../contract/index.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, number, only, parse } from "../options.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

export const KEYS_HELP = `vignette keys create --name NAME [--scopes generate,read] [--expires 2027-01-31T00:00:00Z] [--account ID]
                     [--per-minute N] [--concurrent N] [--images-per-day N]
vignette keys list [--json]
vignette keys rotate ID [--overlap SECONDS]     a new secret; the old one works for an hour, or as long as you say
vignette keys revoke ID`;

/** `vignette keys create|list|rotate|revoke`, with a key of scope `admin`. */
export async function keys(args: string[], host: Host): Promise<number> {
  const [action, ...rest] = args;
  if (action === "create") return create(rest, host);
  if (action === "list") return list(rest, host);
  if (action === "rotate") return rotate(rest, host);
  if (action === "revoke") return revoke(rest, host);
  throw usage(KEYS_HELP);
}

const CREATE_OPTIONS = {
  name: { type: "string" },
  scopes: { type: "string" },
  expires: { type: "string" },
  account: { type: "string" },
  "per-minute": { type: "string" },
  concurrent: { type: "string" },
  "images-per-day": { type: "string" },
} as const;

async function create(args: string[], host: Host): Promise<number> {
  const { values } = parse(args, CREATE_OPTIONS);
  if (values.name === undefined) throw usage("Give the key a --name that says who uses it.");
  const name = values.name;
  const scopes = (values.scopes ?? "generate,read").split(",").map((text) => {
    const scope = Scope.safeParse(text.trim());
    if (!scope.success) throw usage(`--scopes has ${JSON.stringify(text)}; there are ${Scope.options.join(", ")}.`);
    return scope.data;
  });
  const expires = values.expires === undefined ? undefined : new Date(values.expires);
  if (expires && Number.isNaN(expires.getTime()))
    throw usage(`--expires is ${JSON.stringify(values.expires)}; write a time such as 2027-01-31T00:00:00Z.`);
  const limits = given({
    requests_per_minute: number("per-minute", values["per-minute"]),
    concurrent: number("concurrent", values.concurrent),
    images_per_day: number("images-per-day", values["images-per-day"]),
  });
  return withClient(host, {}, async (client) => {
    const created = await client.keys.create(
      given({ name, scopes, expires_at: expires?.toISOString(), account: values.account, limits }),
    );
    return show(created, host);
  });
}

/** The secret alone on stdout, so that it can be piped into a secret store. */
function show({ id, key }: CreatedKey, host: Host): number {
  host.stderr.write(`${id}: keep this key, it is shown only once.\n`);
  host.stdout.write(`${key}\n`);
  return 0;
}

async function rotate(args: string[], host: Host): Promise<number> {
  const { values, positionals } = parse(args, { overlap: { type: "string" } });
  const id = only("key", positionals);
  const overlapSeconds = number("overlap", values.overlap);
  return withClient(host, {}, async (client) => show(await client.keys.rotate(id, given({ overlapSeconds })), host));
}

async function list(args: string[], host: Host): Promise<number> {
  const { values } = parse(args, { json: { type: "boolean" } });
  return withClient(host, {}, async (client) => {
    const keys: Key[] = [];
    let cursor: string | undefined;
    do {
      const page = await client.keys.list(given({ cursor, limit: 100 }));
      keys.push(...page.data);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    if (values.json) host.stdout.write(`${JSON.stringify(keys, null, 2)}\n`);
    else host.stdout.write(table([["ID", "KEY", "NAME", "SCOPES", "LAST USED", "STATE"], ...keys.map(row)]));
    return 0;
  });
}

function row({ id, prefix, name, scopes, revoked_at, expires_at, last_used_at }: Key): string[] {
  const state = revoked_at ? `revoked ${revoked_at}` : expires_at ? `expires ${expires_at}` : "active";
  return [id, `${prefix}…`, name, scopes.join(","), last_used_at ?? "never", state];
}

async function revoke(args: string[], host: Host): Promise<number> {
  const id = only("key", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    await client.keys.revoke(id);
    host.stdout.write(`${id} revoked\n`);
    return 0;
  });
}
