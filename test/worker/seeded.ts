import type { Generation } from "../../src/contract/generation.ts";
import { call } from "./harness.ts";

let seeds = 1000;
/** Makes requests for one picture that nobody has asked for yet. */
export function unseen() {
  const seed = ++seeds;
  return (more: Record<string, unknown> = {}) => ({ prompt: "two purple cats", seed, ...more });
}

export async function ask(key: string, request: Record<string, unknown>, headers: Record<string, string> = {}) {
  const response = await call("POST", "/v1/generations", { key, body: request, headers });
  const generation = await response.json<Generation>();
  return { status: response.status, cache: response.headers.get("Cache-Status"), response, generation };
}

/** The first picture as text, or the status that came in its place. */
export async function bytes(generation: Generation): Promise<string | number> {
  const response = await call("GET", generation.images[0]?.url ?? "");
  return response.status === 200 ? new TextDecoder().decode(await response.arrayBuffer()) : response.status;
}
