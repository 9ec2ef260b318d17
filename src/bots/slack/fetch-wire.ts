import type { Clock } from "../core/pace.ts";
import { SlackRefusal, type SlackWire, type Upload } from "./wire.ts";

export interface FetchWireOptions {
  /** Slack's Web API with its last slash, such as `https://slack.com/api/`. */
  apiUrl: string;
  /** The workspace's bot token. */
  token: string;
  clock: Clock;
  fetch: typeof fetch;
}

const TRIES = 4;
const LONGEST_WAIT_MS = 60_000;
const PAUSE_MS = 500;
const PATIENCE_MS = 15_000;

/** Slack's Web API by fetch alone, for places where Bolt does not run. It waits as long as Slack tells it to. */
export function fetchWire({ apiUrl, token, clock, fetch: send }: FetchWireOptions): SlackWire {
  const attempt = patient(send, clock);

  async function call<T>(method: string, args: Record<string, unknown>): Promise<T> {
    const response = await attempt(new URL(method, apiUrl).href, {
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/x-www-form-urlencoded" },
      body: formOf(args).toString(),
    });
    if (!response.ok) throw new SlackRefusal(String(response.status));
    const answer = (await response.json()) as { ok: boolean; error?: string };
    if (!answer.ok) throw new SlackRefusal(answer.error ?? "unknown");
    return answer as T;
  }

  return {
    call,
    async upload({ name, data }: Upload) {
      const { upload_url, file_id } = await call<{ upload_url: string; file_id: string }>(
        "files.getUploadURLExternal",
        { filename: name, length: data.byteLength },
      );
      const form = new FormData();
      form.set("body", new Blob([data]), name);
      const sent = await attempt(upload_url, { body: form });
      if (!sent.ok) throw new SlackRefusal(String(sent.status));
      await call("files.completeUploadExternal", { files: [{ id: file_id, title: name }] });
      return file_id;
    },
    respond: (url, body) => respond(url, body, attempt),
  };
}

type Attempt = (url: string, init: RequestInit) => Promise<Response>;

/** POSTs, as often as Slack asks for time or does not answer for itself. */
export function patient(send: typeof fetch, clock: Clock): Attempt {
  return async (url, init) => {
    for (let tries = 1; ; tries++) {
      const response = await send(url, { ...init, method: "POST", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (response.status !== 429 && response.status < 500) return response;
      const after = Number(response.headers.get("Retry-After") ?? 1) * 1000;
      const wait = response.status === 429 ? after : PAUSE_MS * 2 ** tries;
      if (tries === TRIES || wait > LONGEST_WAIT_MS) return response;
      await clock.sleep(wait);
    }
  };
}

/** Posts to a response URL, whose refusals are HTTP statuses with Slack's word in the body. */
export async function respond(url: string, body: Record<string, unknown>, attempt: Attempt): Promise<void> {
  const headers = { "Content-Type": "application/json; charset=utf-8" };
  const response = await attempt(url, { headers, body: JSON.stringify(body) });
  if (response.ok) return;
  const text = await response.text();
  const [, code = String(response.status)] = /"error"\s*:\s*"(\w+)"/.exec(text) ?? /^(\w+)$/.exec(text.trim()) ?? [];
  throw new SlackRefusal(code);
}

/** The Web API takes forms; what is no text goes as JSON. */
export function formOf(args: Record<string, unknown>): URLSearchParams {
  const given = Object.entries(args).filter(([, value]) => value !== undefined && value !== null);
  return new URLSearchParams(
    given.map(([name, value]): [string, string] => [
      name,
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]),
  );
}
