import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, vi } from "vitest";
import {
  type CreatedWebhookEndpoint,
  newDeliveryId,
  type WebhookDelivery,
  type WebhookEndpoint,
} from "../../src/contract/webhooks.ts";
import { type Deps, makeDeps } from "../../src/worker/deps.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, installRunner, makeKey, until } from "./harness.ts";

export interface Received {
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** What webhooks meet outside. */
export interface World {
  runner: FakeRunner;
  received: Received[];
  /** What a receiver answers, by host; 204 otherwise. */
  answers: Record<string, () => Response>;
  /** What names resolve to; a public address otherwise. */
  names: Record<string, string[]>;
}

/** A world in which nothing was sent yet; spies of the test before are gone. */
export function installWorld(): World {
  vi.restoreAllMocks();
  const world: World = { runner: installRunner(), received: [], answers: {}, names: {} };
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const { hostname, searchParams } = new URL(request.url);
    if (request.url.startsWith(env.RUNNER_URL)) return world.runner.fetch(request);
    if (hostname === "cloudflare-dns.com") {
      const known = world.names[searchParams.get("name") ?? ""] ?? ["93.184.216.34"];
      const data = searchParams.get("type") === "1" ? known : [];
      return Response.json({ Status: 0, Answer: data.map((address) => ({ type: 1, data: address })) });
    }
    expect(request.redirect).toBe("manual");
    world.received.push({ url: request.url, headers: Object.fromEntries(request.headers), body: await request.text() });
    return world.answers[hostname]?.() ?? new Response(null, { status: 204 });
  });
  return world;
}

let accounts = 0;
/** A key in an account of its own. */
export const account = (): Promise<string> => makeKey({ account: `hooks-${++accounts}` });
/** The account of the newest such key. */
export const newestAccount = (): string => `hooks-${accounts}`;

export async function endpoint(key: string, body: Record<string, unknown> = {}): Promise<CreatedWebhookEndpoint> {
  const response = await call("POST", "/v1/webhook-endpoints", {
    key,
    body: { url: "https://hooks.example.com/in", ...body },
  });
  expect(response.status).toBe(201);
  return response.json();
}

/** The endpoint as its account sees it. */
export const shown = async (key: string, id: string): Promise<WebhookEndpoint> =>
  (await call("GET", `/v1/webhook-endpoints/${id}`, { key })).json();

/** @param id an endpoint's, or `requests` */
export const logOf = async (key: string, id: string): Promise<WebhookDelivery[]> =>
  (await (await call("GET", `/v1/webhook-endpoints/${id}/deliveries`, { key })).json<{ data: WebhookDelivery[] }>())
    .data;

/** The first delivery in a log, once it is in this state. */
export function delivery(
  key: string,
  id: string,
  state: (one: WebhookDelivery) => boolean = () => true,
): Promise<WebhookDelivery> {
  return until(async () => {
    const [found] = await logOf(key, id);
    return found && state(found) && found;
  });
}

/** What a service gets at this time, without jitter. */
export const depsAt = (now: number): Deps => ({
  ...makeDeps(env, createExecutionContext()),
  now: () => now,
  random: () => 0,
});

/** A delivery of the newest account that no message has brought yet, and that so many attempts have failed. */
export async function unsent(
  endpointId: string | null,
  { attempts = 0, created = Date.now() }: { attempts?: number; created?: number } = {},
): Promise<string> {
  const id = newDeliveryId(created);
  await depsAt(created).deliveries.insert({
    id,
    accountId: newestAccount(),
    endpointId,
    url: "https://hooks.example.com/in",
    type: "generation.failed",
    payload: "{}",
    createdAt: created,
  });
  await env.DB.prepare("UPDATE webhook_deliveries SET attempts = ? WHERE id = ?").bind(attempts, id).run();
  return id;
}
