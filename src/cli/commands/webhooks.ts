import { EVENT_TYPES, type WebhookEventType } from "../../contract/webhooks.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, number, only, parse } from "../options.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";
import { listen } from "./webhooks-listen.ts";

export const WEBHOOKS_HELP = `vignette webhooks create URL [--events generation.succeeded,…] [--description TEXT]
vignette webhooks list [--json]
vignette webhooks enable|disable|delete|test ID
vignette webhooks rotate ID [--overlap SECONDS]     a new secret; both sign for a day, or as long as you say
vignette webhooks deliveries ID [--limit N] [--json]   ID "requests": what went to requests' own URLs
vignette webhooks redeliver ID DELIVERY
vignette webhooks listen --forward-to URL           brings every end to a server on this machine, signed`;

type Action = (args: string[], host: Host) => Promise<number>;

const ACTIONS: Record<string, Action> = {
  create,
  list,
  enable: (args, host) => use(args, host, false),
  disable: (args, host) => use(args, host, true),
  delete: remove,
  test,
  rotate,
  deliveries,
  redeliver,
  listen,
};

/** `vignette webhooks …`, with a key of scope `webhooks`. */
export async function webhooks([name = "", ...args]: string[], host: Host): Promise<number> {
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (!action) throw usage(WEBHOOKS_HELP);
  return action(args, host);
}

async function create(args: string[], host: Host): Promise<number> {
  const { values, positionals } = parse(args, { events: { type: "string" }, description: { type: "string" } });
  const url = only("URL", positionals);
  const events = values.events?.split(",").map((text) => {
    const event = text.trim() as WebhookEventType;
    if (!EVENT_TYPES.includes(event)) throw usage(`--events has ${text}; there are ${EVENT_TYPES.join(", ")}.`);
    return event;
  });
  return withClient(host, {}, async (client) => {
    const created = await client.webhookEndpoints.create(given({ url, events, description: values.description }));
    host.stderr.write(`${created.id}; this is its secret, shown this once:\n`);
    host.stdout.write(`${created.secret}\n`);
    return 0;
  });
}

async function list(args: string[], host: Host): Promise<number> {
  const { values } = parse(args, { json: { type: "boolean" } });
  return withClient(host, {}, async (client) => {
    const { data } = await client.webhookEndpoints.list({ limit: 100 });
    if (values.json) host.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
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
}

async function use(args: string[], host: Host, disabled: boolean): Promise<number> {
  const id = only("endpoint", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    await client.webhookEndpoints.update(id, { disabled });
    host.stdout.write(`${id} ${disabled ? "disabled" : "in use"}\n`);
    return 0;
  });
}

async function remove(args: string[], host: Host): Promise<number> {
  const id = only("endpoint", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    await client.webhookEndpoints.delete(id);
    host.stdout.write(`${id} deleted\n`);
    return 0;
  });
}

async function test(args: string[], host: Host): Promise<number> {
  const id = only("endpoint", parse(args, {}).positionals);
  return withClient(host, {}, async (client) => {
    const { id: delivery } = await client.webhookEndpoints.test(id);
    host.stdout.write(`${delivery} on its way; \`vignette webhooks deliveries ${id}\` tells what became of it\n`);
    return 0;
  });
}

async function rotate(args: string[], host: Host): Promise<number> {
  const { values, positionals } = parse(args, { overlap: { type: "string" } });
  const id = only("endpoint", positionals);
  const overlapSeconds = number("overlap", values.overlap);
  return withClient(host, {}, async (client) => {
    const { secret } = await client.webhookEndpoints.rotateSecret(id, given({ overlapSeconds }));
    host.stdout.write(`${secret}\n`);
    return 0;
  });
}

async function deliveries(args: string[], host: Host): Promise<number> {
  const { values, positionals } = parse(args, { limit: { type: "string" }, json: { type: "boolean" } });
  const id = only("endpoint", positionals);
  return withClient(host, {}, async (client) => {
    const { data } = await client.webhookEndpoints.deliveries(id, given({ limit: number("limit", values.limit) }));
    if (values.json) host.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
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
}

async function redeliver(args: string[], host: Host): Promise<number> {
  const [id, delivery, ...more] = parse(args, {}).positionals;
  if (!id || !delivery || more.length > 0) throw usage("Say which endpoint and which delivery.");
  return withClient(host, {}, async (client) => {
    await client.webhookEndpoints.redeliver(id, delivery);
    host.stdout.write(`${delivery} on its way again\n`);
    return 0;
  });
}
