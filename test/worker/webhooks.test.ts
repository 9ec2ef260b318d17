import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { beforeEach, describe, expect, it, vi } from "vitest";
import {
  type CreatedWebhookEndpoint,
  EndpointDisabledMessage,
  EndpointTestMessage,
  newDeliveryId,
  type WebhookDelivery,
  type WebhookEndpoint,
} from "../../src/contract/webhooks.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import { attempt, consumeDelivery, sweepDeliveries } from "../../src/worker/services/webhook-delivery.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey } from "./harness.ts";

interface Received {
  url: string;
  headers: Record<string, string>;
  body: string;
}

let runner: FakeRunner;
let received: Received[];
/** What a receiver answers, by host; 204 otherwise. */
let answers: Record<string, () => Response>;
/** What names resolve to; a public address otherwise. */
let names: Record<string, string[]>;
let accounts = 0;

beforeEach(() => {
  vi.restoreAllMocks();
  runner = installRunner();
  received = [];
  answers = {};
  names = {};
  const { fetch: toRunner } = runner;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input as Request, init as RequestInit);
    const { hostname, searchParams } = new URL(request.url);
    if (request.url.startsWith(env.RUNNER_URL)) return toRunner(request);
    if (hostname === "cloudflare-dns.com") {
      const data = searchParams.get("type") === "1" ? (names[searchParams.get("name") ?? ""] ?? ["93.184.216.34"]) : [];
      return Response.json({ Status: 0, Answer: data.map((address) => ({ type: 1, data: address })) });
    }
    expect(request.redirect).toBe("manual");
    received.push({ url: request.url, headers: Object.fromEntries(request.headers), body: await request.text() });
    return answers[hostname]?.() ?? new Response(null, { status: 204 });
  });
});

const until = (condition: () => unknown) => vi.waitUntil(condition, { timeout: 30_000, interval: 5 });
const account = () => makeKey({ account: `hooks-${++accounts}` });

async function endpoint(key: string, body: Record<string, unknown> = {}): Promise<CreatedWebhookEndpoint> {
  const response = await call("POST", "/v1/webhook-endpoints", {
    key,
    body: { url: "https://hooks.example.com/in", ...body },
  });
  expect(response.status).toBe(201);
  return response.json();
}

async function drawn(key: string, request: Record<string, unknown> = {}) {
  const { id } = await imagine(key, request);
  await arrival(runner, id);
  await runner.draw(id);
  return id;
}

const logOf = async (key: string, id: string) =>
  (await (await call("GET", `/v1/webhook-endpoints/${id}/deliveries`, { key })).json<{ data: WebhookDelivery[] }>())
    .data;

/** The first delivery in a log, once it is in this state. */
async function delivery(key: string, id: string, state: (one: WebhookDelivery) => boolean): Promise<WebhookDelivery> {
  let found: WebhookDelivery | undefined;
  await vi.waitUntil(
    async () => {
      found = (await logOf(key, id))[0];
      return found && state(found);
    },
    { timeout: 30_000, interval: 10 },
  );
  return found as WebhookDelivery;
}

const later = (now: number) => ({ ...makeDeps(env, createExecutionContext()), now: () => now, random: () => 0 });

/** A delivery of the newest account that no message has brought yet, and that so many attempts have failed. */
async function unsent(endpointId: string | null, { attempts = 0, at = Date.now() } = {}): Promise<string> {
  const id = newDeliveryId(at);
  await makeDeps(env, createExecutionContext()).deliveries.insert({
    id,
    accountId: `hooks-${accounts}`,
    endpointId,
    url: "https://hooks.example.com/in",
    type: "generation.failed",
    payload: "{}",
    createdAt: at,
  });
  await env.DB.prepare("UPDATE webhook_deliveries SET attempts = ? WHERE id = ?").bind(attempts, id).run();
  return id;
}

/** What the consumer does with a message, at this time. */
async function consumed(body: unknown, now: number) {
  const outcomes: ("ack" | number)[] = [];
  await consumeDelivery(later(now), {
    body,
    attempts: 1,
    ack: () => void outcomes.push("ack"),
    retry: ({ delaySeconds }) => void outcomes.push(delaySeconds),
  });
  return outcomes;
}

describe("a webhook endpoint", () => {
  it("is told of the end of a generation, in a message that Standard Webhooks' own library accepts", async () => {
    const key = await account();
    const { secret } = await endpoint(key);
    const id = await drawn(key, { metadata: { order: "7" } });
    await until(() => received.length > 0);
    const [message] = received as [Received];
    const verified = new Webhook(secret).verify(message.body, message.headers);
    expect(verified).toMatchObject({
      type: "generation.succeeded",
      data: { id, status: "succeeded", metadata: { order: "7" }, images: [expect.stringContaining("/i/")] },
    });
    expect(message.body.length).toBeLessThan(20_000);
    expect(() => new Webhook(`whsec_${btoa("x".repeat(32))}`).verify(message.body, message.headers)).toThrow();
  });

  it("is told of what it asked for alone, and of nothing of other accounts", async () => {
    const [key, other] = [await account(), await account()];
    const mine = await endpoint(key, { events: ["generation.canceled"] });
    await drawn(key);
    await drawn(other);
    const { id } = await imagine(key);
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    await until(() => received.length > 0);
    expect(received.map(({ body }) => JSON.parse(body).data.id)).toEqual([id]);
    expect(await logOf(key, mine.id)).toHaveLength(1);
  });

  it("gets every attempt on the spec's schedule under one id with one body, and is disabled when none arrives", async () => {
    const key = await account();
    const watcher = await endpoint(key, { url: "https://watch.example.com/", events: ["webhook_endpoint.disabled"] });
    answers["hooks.example.com"] = () => new Response("no", { status: 503 });
    const { id } = await endpoint(key);
    await drawn(key);
    const first = await delivery(key, id, ({ attempts }) => attempts === 1);
    expect(first).toMatchObject({ status: "pending", last_status: 503 });
    const waits: number[] = [];
    for (let at = Date.parse(first.next_attempt_at ?? ""), attempts = 1; ; attempts++) {
      const next = await attempt(later(at), first.id);
      if (next === null) break;
      expect(attempts).toBeLessThan(10);
      waits.push((next - at) / 1000);
      // Too early: nothing is sent.
      const before = received.length;
      expect(await attempt(later(next - 1), first.id)).toBe(next);
      expect(received.length).toBe(before);
      at = next;
    }
    expect(waits).toEqual([300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
    const sent = received.filter(({ url }) => url.includes("hooks"));
    expect(sent).toHaveLength(10);
    expect(new Set(sent.map(({ body }) => body)).size).toBe(1);
    expect(new Set(sent.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set([first.id]));
    expect(await delivery(key, id, () => true)).toMatchObject({ status: "failed", attempts: 10 });
    const shown = await (await call("GET", `/v1/webhook-endpoints/${id}`, { key })).json<WebhookEndpoint>();
    expect(shown).toMatchObject({ disabled: true, disabled_reason: "failing" });
    const told = await delivery(key, watcher.id, () => true);
    expect(await attempt(later(Date.parse(told.next_attempt_at ?? "")), told.id)).toBeNull();
    const notice = received.find(({ url }) => url.includes("watch")) as Received;
    expect(JSON.parse(notice.body)).toMatchObject({
      type: "webhook_endpoint.disabled",
      data: { id, reason: "failing" },
    });
  });

  it("that is taken in use again is held to what is sent from then on", async () => {
    const key = await account();
    answers["hooks.example.com"] = () => new Response("no", { status: 503 });
    const { id } = await endpoint(key);
    const now = Date.now();
    const state = async () =>
      (await (await call("GET", `/v1/webhook-endpoints/${id}`, { key })).json<WebhookEndpoint>()).disabled_reason;
    const put = (disabled: boolean) => call("PATCH", `/v1/webhook-endpoints/${id}`, { key, body: { disabled } });
    const old = await unsent(id, { attempts: 9, at: now - 1000 });
    await put(true);
    await put(false);
    expect(await attempt(later(now + 1000), old)).toBeNull();
    expect(await state()).toBeNull();
    const next = await unsent(id, { attempts: 9, at: now + 60_000 });
    // It is in use already: this is no new beginning.
    const clock = vi.spyOn(Date, "now").mockReturnValue(now + 90_000);
    await put(false);
    clock.mockRestore();
    expect(await attempt(later(now + 120_000), next)).toBeNull();
    expect(await state()).toBe("failing");
  });

  it("waits as long as a receiver asks for", async () => {
    const key = await account();
    answers["hooks.example.com"] = () => new Response(null, { status: 429, headers: { "Retry-After": "600" } });
    const { id } = await endpoint(key);
    await drawn(key);
    const { next_attempt_at, last_attempt_at } = await delivery(key, id, ({ attempts }) => attempts === 1);
    expect(Date.parse(next_attempt_at ?? "") - Date.parse(last_attempt_at ?? "")).toBeGreaterThan(590_000);
  });

  it("that answers 410 gets no more", async () => {
    const key = await account();
    answers["hooks.example.com"] = () => new Response(null, { status: 410 });
    const { id } = await endpoint(key);
    await drawn(key);
    expect(await delivery(key, id, ({ status }) => status === "failed")).toMatchObject({
      attempts: 1,
      last_status: 410,
    });
    await vi.waitUntil(async () => {
      const shown = await (await call("GET", `/v1/webhook-endpoints/${id}`, { key })).json<WebhookEndpoint>();
      return shown.disabled && shown.disabled_reason === "gone";
    });
    await drawn(key);
    expect(await logOf(key, id)).toHaveLength(1);
    delete answers["hooks.example.com"];
    const back = await call("PATCH", `/v1/webhook-endpoints/${id}`, { key, body: { disabled: false } });
    expect(await back.json()).toMatchObject({ disabled: false, disabled_reason: null });
    await drawn(key);
    await delivery(key, id, ({ status }) => status === "delivered");
  });

  it("that did not choose among the events is told when another one is taken out of use", async () => {
    const key = await account();
    const other = await endpoint(key, { url: "https://other.example.com/" });
    const chooser = await endpoint(key, { url: "https://chooser.example.com/", events: ["generation.failed"] });
    answers["hooks.example.com"] = () => new Response(null, { status: 410 });
    // What knows no such event refuses it, and is not taken out of use for that.
    answers["other.example.com"] = () => new Response("what is that?", { status: 400 });
    const { id, url } = await endpoint(key, { events: ["generation.succeeded"] });
    const sent = await unsent(id);
    expect(await attempt(later(Date.now()), sent)).toBeNull();
    const told = await delivery(key, other.id, ({ attempts }) => attempts === 1);
    expect(await logOf(key, chooser.id)).toEqual([]);
    const notice = received.find((message) => message.url.includes("other")) as Received;
    expect(EndpointDisabledMessage.parse(new Webhook(other.secret).verify(notice.body, notice.headers))).toMatchObject({
      data: { id, url, reason: "gone" },
    });
    await env.DB.prepare("UPDATE webhook_deliveries SET attempts = 9 WHERE id = ?").bind(told.id).run();
    expect(await attempt(later(Date.parse(told.next_attempt_at ?? "")), told.id)).toBeNull();
    expect(await (await call("GET", `/v1/webhook-endpoints/${other.id}`, { key })).json()).toMatchObject({
      disabled: false,
    });
  });

  it("has messages signed with both secrets while it changes them", async () => {
    const key = await account();
    const { id, secret } = await endpoint(key);
    const rotated = await call("POST", `/v1/webhook-endpoints/${id}/rotate-secret`, {
      key,
      body: { overlap_seconds: 60 },
    });
    const { secret: fresh } = await rotated.json<CreatedWebhookEndpoint>();
    expect(fresh).not.toBe(secret);
    expect((await call("POST", `/v1/webhook-endpoints/${id}/test`, { key })).status).toBe(202);
    await until(() => received.length > 0);
    const [message] = received as [Received];
    for (const one of [secret, fresh])
      expect(EndpointTestMessage.parse(new Webhook(one).verify(message.body, message.headers)).data).toEqual({ id });
    await call("POST", `/v1/webhook-endpoints/${id}/rotate-secret`, { key, body: { overlap_seconds: 0 } });
    await call("POST", `/v1/webhook-endpoints/${id}/test`, { key });
    await until(() => received.length > 1);
    expect(received[1]?.headers["webhook-signature"]?.split(" ")).toHaveLength(1);
  });

  it("gets an ended delivery again on demand, and one that was lost by the cron", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    await drawn(key);
    const done = await delivery(key, id, ({ status }) => status === "delivered");
    const path = `/v1/webhook-endpoints/${id}/deliveries/${done.id}/redeliver`;
    expect((await call("POST", path, { key })).status).toBe(202);
    await until(() => received.length === 2);
    expect(received[1]?.headers["webhook-id"]).toBe(done.id);
    await delivery(key, id, ({ status }) => status === "delivered");

    await env.DB.prepare("UPDATE webhook_deliveries SET status = 'pending', next_at = ? WHERE id = ?")
      .bind(Date.now() + 3_600_000, done.id)
      .run();
    const pending = await call("POST", path, { key });
    expect([pending.status, (await pending.json<{ code: string }>()).code]).toEqual([409, "delivery_pending"]);
    const brought: string[] = [];
    await sweepDeliveries({ ...later(Date.now() + 3_600_001), deliver: async (one) => void brought.push(one) });
    expect(brought).toContain(done.id);
  });
});

describe("a message of the queue", () => {
  it("is put off until the next attempt, and done with when its delivery is over", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    const now = Date.now();
    const message = { delivery: await unsent(id, { at: now }) };
    answers["hooks.example.com"] = () => new Response(null, { status: 503 });
    expect(await consumed(message, now)).toEqual([5]);
    // It came before its time: what was left is rounded up, so that it does not come so again.
    expect(await consumed(message, now + 1_500)).toEqual([4]);
    expect(received).toHaveLength(1);
    expect(await consumed(message, now + 5_000)).toEqual([300]);
    delete answers["hooks.example.com"];
    expect(await consumed(message, now + 305_000)).toEqual(["ack"]);
    expect(await consumed(message, now + 305_000)).toEqual(["ack"]);
    expect(received).toHaveLength(3);
    for (const body of [null, "text", {}, { delivery: 5 }, { delivery: "msg_unknown" }])
      expect(await consumed(body, now)).toEqual(["ack"]);
  });

  it("is left to the cron where the next attempt is further away than a queue holds back", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    const now = Date.now();
    answers["hooks.example.com"] = () => new Response(null, { status: 503 });
    expect(await consumed({ delivery: await unsent(id, { attempts: 5, at: now }) }, now)).toEqual([10 * 3600]);
    const far = await unsent(id, { attempts: 6, at: now });
    expect(await consumed({ delivery: far }, now)).toEqual(["ack"]);
    const brought: string[] = [];
    await sweepDeliveries({ ...later(now + 14 * 3_600_000), deliver: async (one) => void brought.push(one) });
    expect(brought).toContain(far);
  });

  it("that came twice waits until whoever has its delivery must be done", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    const now = Date.now();
    const message = { delivery: await unsent(id, { at: now }) };
    await makeDeps(env, createExecutionContext()).deliveries.claim(message.delivery, now, now + 60_000);
    expect(await consumed(message, now + 10_000)).toEqual([50]);
    expect(received).toEqual([]);
    expect(await consumed(message, now + 60_000)).toEqual(["ack"]);
    expect(received).toHaveLength(1);
  });

  it("comes again when the database did not answer", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    const message = { delivery: await unsent(id) };
    vi.spyOn(console, "error").mockImplementation(() => {});
    const broken = vi.spyOn(env.DB, "prepare").mockImplementation(() => {
      throw new Error("D1 is away");
    });
    expect(await consumed(message, Date.now())).toEqual([30]);
    broken.mockRestore();
    expect(await consumed(message, Date.now())).toEqual(["ack"]);
  });
});

describe("a request's own webhook_url", () => {
  it("is told with the account's default secret, of the ends it names, also when the pictures come from the cache", async () => {
    const key = await account();
    const { secret } = await (await call("GET", "/v1/webhook-endpoints/default-secret", { key })).json<{
      secret: string;
    }>();
    const request = { webhook_url: "https://own.example.com/x", webhook_events: ["generation.succeeded"], seed: 7 };
    const id = await drawn(key, request);
    await until(() => received.length === 1);
    const again = await call("POST", "/v1/generations", { key, body: { prompt: "two purple cats", ...request } });
    const cached = await again.json<{ id: string; cached: boolean }>();
    expect(cached).toMatchObject({ cached: true });
    expect(cached.id).not.toBe(id);
    await until(() => received.length === 2);
    expect(received.map(({ body }) => JSON.parse(body).data.id)).toEqual([id, cached.id]);
    for (const { body, headers } of received) new Webhook(secret).verify(body, headers);
    const log = await call("GET", "/v1/webhook-endpoints/requests/deliveries", { key });
    expect((await log.json<{ data: unknown[] }>()).data).toHaveLength(2);
    const failing = await imagine(key, { ...request, seed: 8 });
    await arrival(runner, failing.id);
    await runner.fail(failing.id, "out of paint");
    expect(
      (await (await call("GET", "/v1/webhook-endpoints/requests/deliveries", { key })).json<{ data: unknown[] }>())
        .data,
    ).toHaveLength(2);
  });

  it("is told nothing of an account that was erased, for which no secret is made again", async () => {
    await account();
    const sent = await unsent(null);
    await env.DB.prepare("UPDATE accounts SET erased_at = 1 WHERE id = ?").bind(`hooks-${accounts}`).run();
    expect(await attempt(later(Date.now()), sent)).toBeNull();
    expect(received).toEqual([]);
    expect(
      await env.DB.prepare("SELECT webhook_secret FROM accounts WHERE id = ?").bind(`hooks-${accounts}`).first(),
    ).toEqual({ webhook_secret: null });
  });

  it("is refused where nothing may be sent, and events without it are", async () => {
    const key = await account();
    for (const [body, pointer] of [
      [{ webhook_url: "http://hooks.example.com/" }, "#/webhook_url"],
      [{ webhook_url: "https://127.0.0.1/" }, "#/webhook_url"],
      [{ webhook_events: ["generation.failed"] }, "#/webhook_events"],
    ] as const) {
      const response = await call("POST", "/v1/generations", { key, body: { prompt: "cats", ...body } });
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({ errors: [{ pointer }] });
    }
  });
});

describe("what must not happen", () => {
  it("no message goes to an address inside, whatever name or redirect leads there", async () => {
    const key = await account();
    const urls = [
      "http://example.com/",
      "https://user:pw@example.com/",
      "https://example.com:22/",
      "https://localhost/",
      "https://10.0.0.1/",
      "https://0x7f.1/",
      "https://2130706433/",
      "https://[::1]/",
      "https://[::ffff:10.0.0.1]/",
      "https://[fd00::1]/",
      "https://[64:ff9b::a00:1]/",
      "https://[2002:a00:1::]/",
      "https://169.254.169.254/latest",
      "https://100.64.0.1/",
      "https://router/",
      "https://db.internal/",
      "https://printer.local/",
      "ftp://example.com/",
      "x",
      "https://example.com/#part",
    ];
    for (const url of urls) {
      const response = await call("POST", "/v1/webhook-endpoints", { key, body: { url } });
      expect([url, response.status]).toEqual([url, 422]);
    }
    names["hooks.example.com"] = ["93.184.216.34", "192.168.1.1"];
    const { id } = await endpoint(key);
    await drawn(key);
    const refused = await delivery(key, id, ({ attempts }) => attempts === 1);
    expect(refused.last_error).toContain("not of the public internet");
    names["hooks.example.com"] = [];
    expect(await attempt(later(Date.parse(refused.next_attempt_at ?? "")), refused.id)).not.toBeNull();
    expect((await delivery(key, id, () => true)).last_error).toBe("The name has no address.");
    expect(received).toEqual([]);
    const redirecting = await endpoint(key, { url: "https://moved.example.com/" });
    answers["moved.example.com"] = () => new Response(null, { status: 302, headers: { Location: "http://10.0.0.1/" } });
    await call("POST", `/v1/webhook-endpoints/${redirecting.id}/test`, { key });
    const moved = await delivery(key, redirecting.id, ({ attempts }) => attempts === 1);
    expect(moved).toMatchObject({ last_status: 302, last_error: expect.stringContaining("not followed") });
  });

  it("nobody sees or touches another account's endpoints, or does without the scope", async () => {
    const [key, other] = [await account(), await account()];
    const { id } = await endpoint(key);
    await drawn(key);
    const { id: sent } = await delivery(key, id, ({ status }) => status === "delivered");
    const path = `/v1/webhook-endpoints/${id}`;
    const routes = [
      ["GET", path],
      ["PATCH", path, { disabled: true }],
      ["DELETE", path],
      ["POST", `${path}/test`],
      ["POST", `${path}/rotate-secret`, {}],
      ["GET", `${path}/deliveries`],
      ["POST", `${path}/deliveries/${sent}/redeliver`],
    ] as const;
    for (const [method, route, body] of routes)
      expect([route, (await call(method, route, { key: other, body })).status]).toEqual([route, 404]);
    expect((await call("GET", "/v1/webhook-endpoints", { key: other })).status).toBe(200);
    expect(await (await call("GET", "/v1/webhook-endpoints", { key: other })).json()).toMatchObject({ data: [] });
    const plain = await makeKey({ account: `hooks-${accounts}`, scopes: ["generate", "read"] });
    for (const [method, route, body] of routes)
      expect([route, (await call(method, route, { key: plain, body })).status]).toEqual([route, 403]);
    expect((await call("DELETE", path, { key })).status).toBe(204);
    expect((await call("GET", path, { key })).status).toBe(404);
  });

  it("an account has no more than twenty endpoints, and pages through them", async () => {
    const key = await account();
    for (let i = 0; i < 20; i++) await endpoint(key, { description: `${i}` });
    const refused = await call("POST", "/v1/webhook-endpoints", { key, body: { url: "https://hooks.example.com/" } });
    expect([refused.status, (await refused.json<{ code: string }>()).code]).toEqual([409, "too_many_endpoints"]);
    const seen: string[] = [];
    for (let cursor = ""; ; ) {
      const page = await (
        await call("GET", `/v1/webhook-endpoints?limit=9${cursor && `&cursor=${cursor}`}`, { key })
      ).json<{ data: WebhookEndpoint[]; next_cursor: string | null }>();
      seen.push(...page.data.map(({ description }) => description));
      if (!page.next_cursor) break;
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => `${19 - i}`));
  });
});
