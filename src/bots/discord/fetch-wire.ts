import type { Clock } from "../core/pace.ts";
import { DiscordRefusal, type Upload, type Wire } from "./wire.ts";

export interface FetchWireOptions {
  /** Discord's API, such as `https://discord.com/api`. */
  apiUrl: string;
  /** Where this bot lives: Discord asks clients to name it (discord-api-docs: reference#user-agent). */
  home: string;
  /** The bot's token, where it has one; interactions bring their own. */
  token: string | null;
  clock: Clock;
  fetch: typeof fetch;
}

const TRIES = 4;
const LONGEST_WAIT_MS = 30_000;
const PAUSE_MS = 500;
const PATIENCE_MS = 15_000;
/** Discord's API by fetch alone, for places where discord.js does not run. It waits as long as Discord tells it to. */
export function fetchWire({ apiUrl, home, token, clock, fetch: send }: FetchWireOptions): Wire {
  async function call(method: string, path: string, body?: object, files: Upload[] = [], auth = false) {
    for (let attempt = 1; ; attempt++) {
      const response = await send(`${apiUrl}/v10${path}`, {
        method,
        headers: {
          "User-Agent": `DiscordBot (${home}, 1)`,
          ...(auth ? { Authorization: `Bot ${token}` } : {}),
          ...(body && files.length === 0 ? { "Content-Type": "application/json" } : {}),
        },
        body: body ? written(body, files) : null,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      if (response.ok) return response.status === 204 ? null : response.json();
      const told = (await response.json().catch(() => ({}))) as { code?: number; retry_after?: number };
      const wait = response.status === 429 ? (told.retry_after ?? 1) * 1000 : PAUSE_MS * 2 ** attempt;
      const again = response.status === 429 || response.status >= 500;
      if (!again || attempt === TRIES || wait > LONGEST_WAIT_MS)
        throw new DiscordRefusal(response.status, Number(told.code ?? 0));
      await clock.sleep(wait);
    }
  }
  const webhook = (application: string, right: string) => `/webhooks/${application}/${encodeURIComponent(right)}`;
  const original = (application: string, right: string) => `${webhook(application, right)}/messages/@original`;
  return {
    original: async ({ application, token: right }) => (await call("GET", original(application, right))) as never,
    editOriginal: async ({ application, token: right }, body, files) =>
      void (await call("PATCH", original(application, right), body, files)),
    deleteOriginal: async ({ application, token: right }) => void (await call("DELETE", original(application, right))),
    followUp: async ({ application, token: right }, body) =>
      void (await call("POST", webhook(application, right), body)),
    editMessage: token
      ? async (channel, message, body, files) =>
          void (await call("PATCH", `/channels/${channel}/messages/${message}`, body, files, true))
      : null,
  };
}

/** A message's body, with its files beside it (discord-api-docs: reference#uploading-files). */
function written(body: object, files: Upload[]): string | FormData {
  if (files.length === 0) return JSON.stringify(body);
  const form = new FormData();
  form.set("payload_json", JSON.stringify(body));
  for (const [index, { name, contentType, data }] of files.entries())
    form.set(`files[${index}]`, new Blob([data], { type: contentType }), name);
  return form;
}
