import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { vi } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import { hashKey, type KeyLimits, newKey, type Scope } from "../../src/contract/keys.ts";
import worker from "../../src/worker/index.ts";
import { type KnownKey, keyStore } from "../../src/worker/storage/keys.ts";
import { type FakePrediction, FakeRunner } from "../fakes/replicate.ts";

/** The edge as its clients and its runner reach it. */
export const edge = (request: Request): Promise<Response> =>
  (exports as unknown as { default: Fetcher }).default.fetch(request);

/** Waits for what no event tells. It guards against hanging alone: machines are busy. */
export const until = <T>(condition: () => T | Promise<T>) => vi.waitUntil(condition, { timeout: 30_000, interval: 5 });

/** A fake runner that every outbound request of this file's worker reaches. */
export function installRunner(): FakeRunner {
  const runner = new FakeRunner({
    url: env.RUNNER_URL,
    token: env.RUNNER_TOKEN,
    secret: env.RUNNER_WEBHOOK_SECRET,
    deliver: edge,
  });
  vi.spyOn(globalThis, "fetch").mockImplementation(runner.fetch);
  return runner;
}

const EVERY_SCOPE: Scope[] = ["generate", "read", "webhooks", "admin"];

/** Stores a key and answers it. */
export async function makeKey(
  options: { account?: string; scopes?: Scope[]; operator?: boolean; expiresAt?: number; limits?: KeyLimits } = {},
): Promise<string> {
  const { id, secret, prefix, hash } = await newKey();
  await keyStore(env.DB).insert(
    {
      id,
      hash,
      prefix,
      accountId: options.account ?? "acme",
      name: "test",
      scopes: options.scopes ?? EVERY_SCOPE,
      limits: options.limits ?? {},
      createdAt: Date.now(),
      expiresAt: options.expiresAt ?? null,
      revokedAt: null,
    },
    { operator: options.operator ?? false },
  );
  return secret;
}

/** A stored key as services see it. */
export async function knownKey(secret: string): Promise<KnownKey> {
  const key = await keyStore(env.DB).byHash(await hashKey(secret));
  if (!key) throw new Error("the key is not there");
  return key;
}

export interface CallOptions {
  key?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

/** A request to the edge; objects are sent as JSON, everything else as it is. */
export function call(method: string, path: string, { key, body, headers = {} }: CallOptions = {}): Promise<Response> {
  const raw = typeof body === "string" || body instanceof Uint8Array || body === undefined;
  return edge(
    new Request(new URL(path, env.PUBLIC_URL), {
      method,
      headers: {
        ...(key ? { Authorization: `Bearer ${key}` } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: raw ? ((body as BodyInit | undefined) ?? null) : JSON.stringify(body),
    }),
  );
}

/** Asks for a picture and answers the accepted generation. */
export async function imagine(key: string, request: Record<string, unknown> = {}): Promise<Generation> {
  const response = await call("POST", "/v1/generations", { key, body: { prompt: "two purple cats", ...request } });
  if (response.status !== 202) throw new Error(`expected 202, got ${response.status}: ${await response.text()}`);
  return response.json();
}

export async function read(key: string, id: string): Promise<Generation> {
  return (await call("GET", `/v1/generations/${id}`, { key })).json();
}

/**
 * The prediction of a generation, or of the only one, once the queue has brought it to the runner. Polled: a promise
 * that another request's event resolves would go on in that event's context, which ends.
 */
export function arrival(runner: FakeRunner, id?: string): Promise<FakePrediction> {
  return until(() => (id ? runner.predictions.get(id) : runner.predictions.values().next().value));
}

/**
 * Delivers one message to the edge's consumer, now, and answers what became of it. The batch is made here because the
 * one of `cloudflare:test` forgets the delay of a retry.
 */
export async function deliver(body: unknown, { queue = "generations", attempts = 1 } = {}) {
  const outcome: { acked: boolean; delaySeconds: number | null } = { acked: false, delaySeconds: null };
  const message = {
    id: crypto.randomUUID(),
    timestamp: new Date(),
    attempts,
    body,
    ack() {
      outcome.acked = true;
    },
    retry({ delaySeconds }: { delaySeconds: number }) {
      outcome.delaySeconds = delaySeconds;
    },
  };
  const ctx = createExecutionContext();
  await worker.queue({ queue, messages: [message] } as unknown as MessageBatch<{ id: string }>, env, ctx);
  await waitOnExecutionContext(ctx);
  return outcome;
}

/** A waiting generation that no dispatcher holds any more: the runner has refused it once. */
export async function released(id: string): Promise<void> {
  await until(async () => {
    const row = await env.DB.prepare("SELECT claimed_until FROM generations WHERE id = ?").bind(id).first();
    return row?.claimed_until === null;
  });
}

/** Waits until the generation has this status. */
export function reaches(key: string, id: string, status: string): Promise<Generation> {
  return until(async () => {
    const generation = await read(key, id);
    return generation.status === status && generation;
  });
}

/** Lets the runner draw a waiting generation, and answers it with its pictures. */
export async function draw(runner: FakeRunner, key: string, id: string): Promise<Generation> {
  await arrival(runner, id);
  await runner.draw(id);
  return reaches(key, id, "succeeded");
}

/** Asks for a picture and has it drawn. */
export async function drawn(
  runner: FakeRunner,
  key: string,
  request: Record<string, unknown> = {},
): Promise<Generation> {
  return draw(runner, key, (await imagine(key, request)).id);
}
