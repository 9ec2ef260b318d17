import { type Generation, STATUSES } from "../../contract/index.ts";
import { command } from "../command.ts";
import { given, none, number, oneOf, only } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { clip, table } from "../table.ts";

export const get = command({
  summary: "one generation as JSON",
  args: "ID",
  options: {},
  async run(_, positionals, host) {
    const id = only("generation", positionals);
    return withClient(host, {}, async (client) => {
      printJson(host, await client.generations.get(id));
      return 0;
    });
  },
});

export const cancel = command({
  summary: "end one in any state; one that has ended stays as it is",
  args: "ID",
  options: {},
  async run({ json }, positionals, host) {
    const id = only("generation", positionals);
    return withClient(host, {}, async (client) => {
      const generation = await client.generations.cancel(id);
      if (json) printJson(host, generation);
      else host.stdout.write(`${id} ${generation.status}\n`);
      return 0;
    });
  },
});

export const remove = command({
  summary: "delete one with its pictures",
  args: "ID",
  options: {},
  async run({ json }, positionals, host) {
    const id = only("generation", positionals);
    return withClient(host, {}, async (client) => {
      await client.generations.delete(id);
      if (json) printJson(host, { id, deleted: true });
      else host.stdout.write(`${id} deleted\n`);
      return 0;
    });
  },
});

export const list = command({
  summary: "your generations, newest first",
  options: {
    status: { type: "string", value: "STATUS", help: `only ${STATUSES.join(", ")}`, choices: STATUSES },
    user: { type: "string", value: "ID", help: "only those of one end user" },
    limit: { type: "string", value: "N", help: "how many, 1 to 100; 20 when left out" },
    cursor: { type: "string", value: "C", help: "go on after a page" },
  },
  async run({ json, ...values }, positionals, host) {
    none("list", positionals);
    const query = given({
      limit: number("limit", values.limit),
      cursor: values.cursor,
      status: oneOf("status", values.status, STATUSES),
      user: values.user,
    });
    return withClient(host, {}, async (client) => {
      const page = await client.generations.list(query);
      if (json) printJson(host, page);
      else {
        host.stdout.write(table([["ID", "STATUS", "CREATED", "PROMPT"], ...page.data.map(row)]));
        if (page.next_cursor !== null) host.stderr.write(`More: --cursor ${page.next_cursor}\n`);
      }
      return 0;
    });
  },
});

const row = ({ id, status, created_at, prompt }: Generation) => [id, status, created_at, clip(prompt, 60)];
