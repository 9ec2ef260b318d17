import { setTimeout as delay } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import type { Client } from "../../client/index.ts";
import { type Generation, isTerminal } from "../../contract/index.ts";
import { command } from "../command.ts";
import { usage } from "../error.ts";
import { none } from "../options.ts";
import { withClient } from "../session.ts";

const LOOK_EVERY_MS = 2_000;
const PATIENCE_MS = 15_000;
const PAGE = 100;

/**
 * Looks for generations that ended and sends each to a server on this machine as the edge would, signed with the
 * account's default secret. Nothing is tried again: this is for development.
 */
export const listen = command({
  summary: "bring every end to a server on this machine, signed",
  options: { "forward-to": { type: "string", value: "URL", help: "where to, such as http://127.0.0.1:3000/vignette" } },
  async run({ json, "forward-to": target }, positionals, host) {
    none("webhooks listen", positionals);
    if (!target || !URL.canParse(target)) throw usage("Say where to with --forward-to URL.");
    return withClient(host, {}, async (client) => {
      const { secret } = await client.webhookEndpoints.defaultSecret();
      const told = new Set((await newest(client)).filter(({ status }) => isTerminal(status)).map(({ id }) => id));
      host.stderr.write(`Listening; messages are signed with ${secret}\n`);
      while (!host.signal.aborted) {
        const ended = (await newest(client)).filter(({ id, status }) => isTerminal(status) && !told.has(id));
        for (const generation of ended.reverse()) {
          told.add(generation.id);
          const { id, status } = generation;
          const answer = await forward(generation, target, secret);
          host.stdout.write(json ? `${JSON.stringify({ id, status, answer })}\n` : `${id} ${status} -> ${answer}\n`);
        }
        await delay(LOOK_EVERY_MS, undefined, { signal: host.signal }).catch(() => {});
      }
      return 0;
    });
  },
});

const newest = async (client: Client) => (await client.generations.list({ limit: PAGE })).data;

async function forward(generation: Generation, target: string, secret: string): Promise<string> {
  const { id, status, urls, images, user, metadata } = generation;
  const at = new Date();
  const data = { id, status, urls: { self: urls.self }, images: images.map(({ url }) => url), user, metadata };
  const body = JSON.stringify({ type: `generation.${status}`, timestamp: generation.completed_at, data });
  const message = `msg_${id.slice(4)}`;
  const headers = {
    "Content-Type": "application/json",
    "webhook-id": message,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(message, at, body),
  };
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(target, { method: "POST", headers, body, redirect: "manual", signal });
    await response.body?.cancel();
    return String(response.status);
  } catch {
    return "no answer";
  }
}
