import { Client } from "../../client/index.ts";

/**
 * The typed client with one addition: a chat's request draws once, however often the platform delivers it, because its
 * id goes along as the Idempotency-Key (draft-ietf-httpapi-idempotency-key-header).
 */
export function botClient(options: { url: string; apiKey: string; fetch?: typeof fetch }): Client {
  const send: typeof fetch = options.fetch ?? ((input, init) => fetch(input, init));
  return new Client({ ...options, fetch: (input, init) => send(input, withKey(init)) });
}

const PATIENCE_MS = 20_000;

/** How long a call of a bot may take. */
export const patience = (): AbortSignal => AbortSignal.timeout(PATIENCE_MS);

function withKey(init?: RequestInit): RequestInit | undefined {
  if (init?.method !== "POST" || typeof init.body !== "string") return init;
  const { chat, request } = (JSON.parse(init.body) as { metadata?: Record<string, string> }).metadata ?? {};
  if (!chat || !request) return init;
  const headers = new Headers(init.headers);
  headers.set("Idempotency-Key", `"${chat}:${request}"`);
  return { ...init, headers };
}
