import { type Key, Scope } from "../../contract/index.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, only, parse } from "../options.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

export const KEYS_HELP = `vignette keys create --name NAME [--scopes generate,read] [--expires 2027-01-31T00:00:00Z] [--account ID]
vignette keys list
vignette keys revoke ID`;

/** `vignette keys create|list|revoke`, with a key of scope `admin`. */
export async function keys(args: string[], host: Host): Promise<number> {
  const [action, ...rest] = args;
  if (action === "create") return create(rest, host);
  if (action === "list") return list(rest, host);
  if (action === "revoke") return revoke(rest, host);
  throw usage(KEYS_HELP);
}

const CREATE_OPTIONS = {
  name: { type: "string" },
  scopes: { type: "string" },
  expires: { type: "string" },
  account: { type: "string" },
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
  return withClient(host, {}, async (client) => {
    const created = await client.keys.create(
      given({ name, scopes, expires_at: expires?.toISOString(), account: values.account }),
    );
    host.stderr.write(`${created.id}: keep this key, it is shown only once.\n`);
    host.stdout.write(`${created.key}\n`);
    return 0;
  });
}

async function list(args: string[], host: Host): Promise<number> {
  parse(args, {});
  return withClient(host, {}, async (client) => {
    const rows: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = await client.keys.list(given({ cursor, limit: 100 }));
      rows.push(...page.data.map(row));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    host.stdout.write(table([["ID", "KEY", "NAME", "SCOPES", "STATE"], ...rows]));
    return 0;
  });
}

function row({ id, prefix, name, scopes, revoked_at, expires_at }: Key): string[] {
  const state = revoked_at ? `revoked ${revoked_at}` : expires_at ? `expires ${expires_at}` : "active";
  return [id, `${prefix}…`, name, scopes.join(","), state];
}

async function revoke(args: string[], host: Host): Promise<number> {
  const id = only("key", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    await client.keys.revoke(id);
    host.stdout.write(`${id} revoked\n`);
    return 0;
  });
}
