import { EVENT_TYPES } from "../../contract/webhooks.ts";
import { type Command, command, group } from "../command.ts";
import { usage } from "../error.ts";
import { given, none, number, only, severalOf } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";
import { listen } from "./webhooks-listen.ts";

const create = command({
  summary: "be told of the ends of generations; its secret is printed this once",
  args: "URL",
  options: {
    events: { type: "string", value: "A,B", help: `of ${EVENT_TYPES.join(", ")}`, choices: EVENT_TYPES },
    description: { type: "string", help: "what it is for" },
  },
  async run({ json, events, description }, positionals, host) {
    const url = only("URL", positionals);
    const wanted = severalOf("events", events, EVENT_TYPES);
    return withClient(host, {}, async (client) => {
      const created = await client.webhookEndpoints.create(given({ url, events: wanted, description }));
      host.stderr.write(`${created.id}; this is its secret, shown this once:\n`);
      if (json) printJson(host, created);
      else host.stdout.write(`${created.secret}\n`);
      return 0;
    });
  },
});

const list = command({
  summary: "your endpoints, newest first",
  options: {},
  async run({ json }, positionals, host) {
    none("webhooks list", positionals);
    return withClient(host, {}, async (client) => {
      const { data } = await client.webhookEndpoints.list({ limit: 100 });
      if (json) printJson(host, data);
      else {
        const rows = data.map(({ id, url, disabled_reason, events }) => [
          id,
          disabled_reason ?? "in use",
          url,
          events.join(","),
        ]);
        host.stdout.write(table([["ID", "STATE", "URL", "EVENTS"], ...rows]));
      }
      return 0;
    });
  },
});

const use = (summary: string, disabled: boolean): Command =>
  command({
    summary,
    args: "ID",
    options: {},
    async run({ json }, positionals, host) {
      const id = only("endpoint", positionals);
      return withClient(host, {}, async (client) => {
        const endpoint = await client.webhookEndpoints.update(id, { disabled });
        if (json) printJson(host, endpoint);
        else host.stdout.write(`${id} ${disabled ? "disabled" : "in use"}\n`);
        return 0;
      });
    },
  });

const remove = command({
  summary: "delete one with its log",
  args: "ID",
  options: {},
  async run({ json }, positionals, host) {
    const id = only("endpoint", positionals);
    return withClient(host, {}, async (client) => {
      await client.webhookEndpoints.delete(id);
      if (json) printJson(host, { id, deleted: true });
      else host.stdout.write(`${id} deleted\n`);
      return 0;
    });
  },
});

const test = command({
  summary: "send it a test event",
  args: "ID",
  options: {},
  async run({ json }, positionals, host) {
    const id = only("endpoint", positionals);
    return withClient(host, {}, async (client) => {
      const delivery = await client.webhookEndpoints.test(id);
      if (json) printJson(host, delivery);
      else
        host.stdout.write(
          `${delivery.id} on its way; \`vignette webhooks deliveries ${id}\` tells what became of it\n`,
        );
      return 0;
    });
  },
});

const rotate = command({
  summary: "give it a new secret; both sign for a while",
  args: "ID",
  details: "The ID `requests` stands for the secret of requests' own URLs.",
  options: { overlap: { type: "string", value: "SECONDS", help: "how long; a day when left out" } },
  async run({ json, overlap }, positionals, host) {
    const id = only("endpoint", positionals);
    const overlapSeconds = number("overlap", overlap);
    return withClient(host, {}, async (client) => {
      const { rotateSecret, rotateDefaultSecret } = client.webhookEndpoints;
      const overlapping = given({ overlapSeconds });
      const rotated = await (id === "requests" ? rotateDefaultSecret(overlapping) : rotateSecret(id, overlapping));
      if (json) printJson(host, rotated);
      else host.stdout.write(`${rotated.secret}\n`);
      return 0;
    });
  },
});

const deliveries = command({
  summary: "what was sent in the last 30 days, newest first",
  args: "ID",
  details: "The ID `requests` stands for what went to requests' own URLs.",
  options: { limit: { type: "string", value: "N", help: "how many, 1 to 100; 20 when left out" } },
  async run({ json, limit }, positionals, host) {
    const id = only("endpoint", positionals);
    return withClient(host, {}, async (client) => {
      const { data } = await client.webhookEndpoints.deliveries(id, given({ limit: number("limit", limit) }));
      if (json) printJson(host, data);
      else {
        const rows = data.map((one) => [
          one.id,
          one.type,
          one.status,
          String(one.attempts),
          String(one.last_status ?? "–"),
          one.last_error ?? one.generation ?? "",
        ]);
        host.stdout.write(table([["ID", "TYPE", "STATUS", "ATTEMPTS", "ANSWER", "ABOUT"], ...rows]));
      }
      return 0;
    });
  },
});

const redeliver = command({
  summary: "send an ended one again",
  args: "ID DELIVERY",
  options: {},
  async run({ json }, [id, delivery, ...more], host) {
    if (!id || !delivery || more.length > 0) throw usage("Say which endpoint and which delivery.");
    return withClient(host, {}, async (client) => {
      const again = await client.webhookEndpoints.redeliver(id, delivery);
      if (json) printJson(host, again);
      else host.stdout.write(`${delivery} on its way again\n`);
      return 0;
    });
  },
});

export const webhooks = group("webhooks", "who is told of the ends of generations, with a key of scope webhooks", {
  create,
  list,
  enable: use("take one in use again", false),
  disable: use("take one out of use", true),
  delete: remove,
  test,
  rotate,
  deliveries,
  redeliver,
  listen,
});
