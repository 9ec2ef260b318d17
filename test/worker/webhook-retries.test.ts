import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { EndpointDisabledMessage } from "../../src/contract/webhooks.ts";
import { attempt, consumeDelivery, sweepDeliveries } from "../../src/worker/services/webhook-delivery.ts";
import { call, drawn, until } from "./harness.ts";
import {
  account,
  delivery,
  depsAt,
  endpoint,
  installWorld,
  logOf,
  type Received,
  shown,
  unsent,
  type World,
} from "./webhook-world.ts";

let world: World;
beforeEach(() => {
  world = installWorld();
});

describe("a webhook endpoint", () => {
  it("gets every attempt on the spec's schedule under one id with one body, and is disabled when none arrives", async () => {
    const key = await account();
    const watcher = await endpoint(key, { url: "https://watch.example.com/", events: ["webhook_endpoint.disabled"] });
    world.answers["hooks.example.com"] = () => new Response("no", { status: 503 });
    const { id } = await endpoint(key);
    await drawn(world.runner, key);
    const first = await delivery(key, id, ({ attempts }) => attempts === 1);
    expect(first).toMatchObject({ status: "pending", last_status: 503 });
    const waits: number[] = [];
    for (let at = Date.parse(first.next_attempt_at ?? ""), attempts = 1; ; attempts++) {
      const next = await attempt(depsAt(at), first.id);
      if (next === null) break;
      expect(attempts).toBeLessThan(10);
      waits.push((next - at) / 1000);
      // Too early: nothing is sent.
      const before = world.received.length;
      expect(await attempt(depsAt(next - 1), first.id)).toBe(next);
      expect(world.received.length).toBe(before);
      at = next;
    }
    expect(waits).toEqual([300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
    const sent = world.received.filter(({ url }) => url.includes("hooks"));
    expect(sent).toHaveLength(10);
    expect(new Set(sent.map(({ body }) => body)).size).toBe(1);
    expect(new Set(sent.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set([first.id]));
    expect(await delivery(key, id)).toMatchObject({ status: "failed", attempts: 10 });
    expect(await shown(key, id)).toMatchObject({ disabled: true, disabled_reason: "failing" });
    const told = await delivery(key, watcher.id);
    expect(await attempt(depsAt(Date.parse(told.next_attempt_at ?? "")), told.id)).toBeNull();
    const notice = world.received.find(({ url }) => url.includes("watch")) as Received;
    expect(JSON.parse(notice.body)).toMatchObject({
      type: "webhook_endpoint.disabled",
      data: { id, reason: "failing" },
    });
  });

  it("that is taken in use again is held to what is sent from then on", async () => {
    const key = await account();
    world.answers["hooks.example.com"] = () => new Response("no", { status: 503 });
    const { id } = await endpoint(key);
    const now = Date.now();
    const state = async () => (await shown(key, id)).disabled_reason;
    const put = (disabled: boolean) => call("PATCH", `/v1/webhook-endpoints/${id}`, { key, body: { disabled } });
    const old = await unsent(id, { attempts: 9, created: now - 1000 });
    await put(true);
    await put(false);
    expect(await attempt(depsAt(now + 1000), old)).toBeNull();
    expect(await state()).toBeNull();
    const next = await unsent(id, { attempts: 9, created: now + 60_000 });
    // It is in use already: this is no new beginning.
    const clock = vi.spyOn(Date, "now").mockReturnValue(now + 90_000);
    await put(false);
    clock.mockRestore();
    expect(await attempt(depsAt(now + 120_000), next)).toBeNull();
    expect(await state()).toBe("failing");
  });

  it("waits as long as a receiver asks for", async () => {
    const key = await account();
    world.answers["hooks.example.com"] = () => new Response(null, { status: 429, headers: { "Retry-After": "600" } });
    const { id } = await endpoint(key);
    await drawn(world.runner, key);
    const { next_attempt_at, last_attempt_at } = await delivery(key, id, ({ attempts }) => attempts === 1);
    expect(Date.parse(next_attempt_at ?? "") - Date.parse(last_attempt_at ?? "")).toBeGreaterThan(590_000);
  });

  it("that answers 410 gets no more", async () => {
    const key = await account();
    world.answers["hooks.example.com"] = () => new Response(null, { status: 410 });
    const { id } = await endpoint(key);
    await drawn(world.runner, key);
    expect(await delivery(key, id, ({ status }) => status === "failed")).toMatchObject({
      attempts: 1,
      last_status: 410,
    });
    await until(async () => {
      const { disabled, disabled_reason } = await shown(key, id);
      return disabled && disabled_reason === "gone";
    });
    await drawn(world.runner, key);
    expect(await logOf(key, id)).toHaveLength(1);
    delete world.answers["hooks.example.com"];
    const back = await call("PATCH", `/v1/webhook-endpoints/${id}`, { key, body: { disabled: false } });
    expect(await back.json()).toMatchObject({ disabled: false, disabled_reason: null });
    await drawn(world.runner, key);
    await delivery(key, id, ({ status }) => status === "delivered");
  });

  it("that did not choose among the events is told when another one is taken out of use", async () => {
    const key = await account();
    const other = await endpoint(key, { url: "https://other.example.com/" });
    const chooser = await endpoint(key, { url: "https://chooser.example.com/", events: ["generation.failed"] });
    world.answers["hooks.example.com"] = () => new Response(null, { status: 410 });
    // What knows no such event refuses it, and is not taken out of use for that.
    world.answers["other.example.com"] = () => new Response("what is that?", { status: 400 });
    const { id, url } = await endpoint(key, { events: ["generation.succeeded"] });
    const sent = await unsent(id);
    expect(await attempt(depsAt(Date.now()), sent)).toBeNull();
    const told = await delivery(key, other.id, ({ attempts }) => attempts === 1);
    expect(await logOf(key, chooser.id)).toEqual([]);
    const notice = world.received.find((message) => message.url.includes("other")) as Received;
    expect(EndpointDisabledMessage.parse(new Webhook(other.secret).verify(notice.body, notice.headers))).toMatchObject({
      data: { id, url, reason: "gone" },
    });
    await env.DB.prepare("UPDATE webhook_deliveries SET attempts = 9 WHERE id = ?").bind(told.id).run();
    expect(await attempt(depsAt(Date.parse(told.next_attempt_at ?? "")), told.id)).toBeNull();
    expect(await shown(key, other.id)).toMatchObject({ disabled: false });
  });
});

/** What the consumer does with a message, at this time and with this jitter. */
async function consumed(body: unknown, now: number, random = 0) {
  const outcomes: ("ack" | number)[] = [];
  const deps = { ...depsAt(now), random: () => random };
  await consumeDelivery(deps, {
    body,
    attempts: 1,
    ack: () => void outcomes.push("ack"),
    retry: ({ delaySeconds }) => void outcomes.push(delaySeconds),
  });
  return outcomes;
}

describe("a message of the queue", () => {
  it("is put off until the next attempt, and done with when its delivery is over", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    const now = Date.now();
    const message = { delivery: await unsent(id, { created: now }) };
    world.answers["hooks.example.com"] = () => new Response(null, { status: 503 });
    expect(await consumed(message, now)).toEqual([5]);
    // It came before its time: what was left is rounded up, so that it does not come so again.
    expect(await consumed(message, now + 1_500)).toEqual([4]);
    expect(world.received).toHaveLength(1);
    expect(await consumed(message, now + 5_000)).toEqual([300]);
    delete world.answers["hooks.example.com"];
    expect(await consumed(message, now + 305_000)).toEqual(["ack"]);
    expect(await consumed(message, now + 305_000)).toEqual(["ack"]);
    expect(world.received).toHaveLength(3);
    for (const body of [null, "text", {}, { delivery: 5 }, { delivery: "msg_unknown" }])
      expect(await consumed(body, now)).toEqual(["ack"]);
  });

  it("is left to the cron where the next attempt is further away than a queue holds back", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    const now = Date.now();
    world.answers["hooks.example.com"] = () => new Response(null, { status: 503 });
    const near = await unsent(id, { attempts: 8, created: now });
    expect(await consumed({ delivery: near }, now)).toEqual([24 * 3600]);
    // Jitter makes the longest wait longer.
    const far = await unsent(id, { attempts: 8, created: now });
    expect(await consumed({ delivery: far }, now, 0.5)).toEqual(["ack"]);
    const brought: string[] = [];
    await sweepDeliveries({ ...depsAt(now + 26 * 3_600_000), deliver: async (one) => void brought.push(one) });
    expect(brought).toContain(far);
  });

  it("that came twice waits until whoever has its delivery must be done", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    const now = Date.now();
    const message = { delivery: await unsent(id, { created: now }) };
    await depsAt(now).deliveries.claim(message.delivery, now, now + 60_000);
    expect(await consumed(message, now + 10_000)).toEqual([50]);
    expect(world.received).toEqual([]);
    expect(await consumed(message, now + 60_000)).toEqual(["ack"]);
    expect(world.received).toHaveLength(1);
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
