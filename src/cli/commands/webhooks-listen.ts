import { Webhook } from "standardwebhooks";
import { ClientError } from "../../client/index.ts";
import type { Generation } from "../../contract/index.ts";
import { command } from "../command.ts";
import { Ends } from "../ends.ts";
import { usage } from "../error.ts";
import type { Host } from "../host.ts";
import { none } from "../options.ts";
import { isUnanswered, withClient } from "../session.ts";

const LOOK_EVERY_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;
const PATIENCE_MS = 15_000;

/**
 * Looks for generations that ended and sends each to a server on this machine as the edge would, signed with the
 * account's default secret. No message is sent again: this is for development.
 */
export const listen = command({
  summary: "bring every end to a server on this machine, signed",
  options: { "forward-to": { type: "string", value: "URL", help: "where to, such as http://127.0.0.1:3000/vignette" } },
  async run({ json, "forward-to": target }, positionals, host) {
    none("webhooks listen", positionals);
    if (!target || !URL.canParse(target)) throw usage("Say where to with --forward-to URL.");
    return withClient(host, {}, async (client) => {
      const { secret } = await client.webhookEndpoints.defaultSecret();
      const ends = await Ends.from(client, { signal: host.signal });
      host.stderr.write(`Listening; messages are signed with ${secret}\n`);
      for await (const generation of fresh(ends, host)) {
        const { id, status } = generation;
        const answer = await forward(generation, target, secret);
        host.stdout.write(json ? `${JSON.stringify({ id, status, answer })}\n` : `${id} ${status} -> ${answer}\n`);
      }
      return 0;
    });
  },
});

/** Each generation that ends, until Ctrl-C. A server that is away for a while is waited for. */
async function* fresh(ends: Ends, host: Host): AsyncGenerator<Generation> {
  for (let failures = 0; !host.signal.aborted; ) {
    let pause = LOOK_EVERY_MS;
    try {
      yield* await ends.next({ signal: host.signal });
      failures = 0;
    } catch (error) {
      if (host.signal.aborted) return;
      if (!isTransient(error)) throw error;
      const { message, retryAfter } = error instanceof ClientError ? error : NO_ANSWER;
      pause = Math.max((retryAfter ?? 0) * 1000, Math.min(LONGEST_PAUSE_MS, LOOK_EVERY_MS * 2 ** ++failures));
      host.stderr.write(`${message} Looking again in ${Math.ceil(pause / 1000)} s.\n`);
    }
    await host.sleep(pause);
  }
}

const NO_ANSWER = { message: "Vignette does not answer.", retryAfter: null };

/** Whether the same look may go well later. */
function isTransient(error: unknown): boolean {
  return error instanceof ClientError ? error.status >= 500 || error.status === 429 : isUnanswered(error);
}

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
