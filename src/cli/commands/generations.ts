import { type Generation, Status } from "../../contract/index.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, number, only, parse } from "../options.ts";
import { withClient } from "../session.ts";
import { clip, table } from "../table.ts";

const json = (host: Host, value: unknown) => host.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

/** `vignette get ID` */
export async function get(args: string[], host: Host): Promise<number> {
  const id = only("generation", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    json(host, await client.generations.get(id));
    return 0;
  });
}

/** `vignette cancel ID` */
export async function cancel(args: string[], host: Host): Promise<number> {
  const id = only("generation", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    const { status } = await client.generations.cancel(id);
    host.stdout.write(`${id} ${status}\n`);
    return 0;
  });
}

/** `vignette delete ID` */
export async function remove(args: string[], host: Host): Promise<number> {
  const id = only("generation", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    await client.generations.delete(id);
    host.stdout.write(`${id} deleted\n`);
    return 0;
  });
}

const LIST_OPTIONS = {
  limit: { type: "string" },
  cursor: { type: "string" },
  status: { type: "string" },
  user: { type: "string" },
  json: { type: "boolean" },
} as const;

/** `vignette list` */
export async function list(args: string[], host: Host): Promise<number> {
  const { values, positionals } = parse(args, LIST_OPTIONS);
  if (positionals[0] !== undefined) throw usage(`\`list\` takes options only, not ${JSON.stringify(positionals[0])}.`);
  const status = Status.optional().safeParse(values.status);
  if (!status.success) throw usage(`--status is ${values.status}; it must be one of ${Status.options.join(", ")}.`);
  const query = given({
    limit: number("limit", values.limit),
    cursor: values.cursor,
    status: status.data,
    user: values.user,
  });
  return withClient(host, {}, async (client) => {
    const page = await client.generations.list(query);
    if (values.json) json(host, page);
    else {
      host.stdout.write(table([["ID", "STATUS", "CREATED", "PROMPT"], ...page.data.map(row)]));
      if (page.next_cursor !== null) host.stderr.write(`More: --cursor ${page.next_cursor}\n`);
    }
    return 0;
  });
}

const row = ({ id, status, created_at, prompt }: Generation) => [id, status, created_at, clip(prompt, 60)];
