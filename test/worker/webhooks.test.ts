import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { beforeEach, describe, expect, it } from "vitest";
import { type CreatedWebhookEndpoint, EndpointTestMessage } from "../../src/contract/webhooks.ts";
import { attempt, sweepDeliveries } from "../../src/worker/services/webhook-delivery.ts";
import { arrival, call, drawn, imagine, until } from "./harness.ts";
import {
  account,
  delivery,
  depsAt,
  endpoint,
  installWorld,
  logOf,
  newestAccount,
  type Received,
  unsent,
  type World,
} from "./webhook-world.ts";

let world: World;
beforeEach(() => {
  world = installWorld();
});

describe("a webhook endpoint", () => {
  it("is told of the end of a generation, in a message that Standard Webhooks' own library accepts", async () => {
    const key = await account();
    const { secret } = await endpoint(key);
    const { id } = await drawn(world.runner, key, { metadata: { order: "7" } });
    await until(() => world.received.length > 0);
    const [message] = world.received as [Received];
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
    await drawn(world.runner, key);
    await drawn(world.runner, other);
    const { id } = await imagine(key);
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    await until(() => world.received.length > 0);
    expect(world.received.map(({ body }) => JSON.parse(body).data.id)).toEqual([id]);
    expect(await logOf(key, mine.id)).toHaveLength(1);
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
    await until(() => world.received.length > 0);
    const [message] = world.received as [Received];
    for (const one of [secret, fresh])
      expect(EndpointTestMessage.parse(new Webhook(one).verify(message.body, message.headers)).data).toEqual({ id });
    await call("POST", `/v1/webhook-endpoints/${id}/rotate-secret`, { key, body: { overlap_seconds: 0 } });
    await call("POST", `/v1/webhook-endpoints/${id}/test`, { key });
    await until(() => world.received.length > 1);
    expect(world.received[1]?.headers["webhook-signature"]?.split(" ")).toHaveLength(1);
  });

  it("gets an ended delivery again on demand, and one that was lost by the cron", async () => {
    const key = await account();
    const { id } = await endpoint(key);
    await drawn(world.runner, key);
    const done = await delivery(key, id, ({ status }) => status === "delivered");
    const path = `/v1/webhook-endpoints/${id}/deliveries/${done.id}/redeliver`;
    expect((await call("POST", path, { key })).status).toBe(202);
    await until(() => world.received.length === 2);
    expect(world.received[1]?.headers["webhook-id"]).toBe(done.id);
    await delivery(key, id, ({ status }) => status === "delivered");

    await env.DB.prepare("UPDATE webhook_deliveries SET status = 'pending', next_at = ? WHERE id = ?")
      .bind(Date.now() + 3_600_000, done.id)
      .run();
    const pending = await call("POST", path, { key });
    expect([pending.status, (await pending.json<{ code: string }>()).code]).toEqual([409, "delivery_pending"]);
    const brought: string[] = [];
    await sweepDeliveries({ ...depsAt(Date.now() + 3_600_001), deliver: async (one) => void brought.push(one) });
    expect(brought).toContain(done.id);
  });
});

describe("a request's own webhook_url", () => {
  it("is told with the account's default secret, of the ends it names, also when the pictures come from the cache", async () => {
    const key = await account();
    const { secret } = await (await call("GET", "/v1/webhook-endpoints/default-secret", { key })).json<{
      secret: string;
    }>();
    const request = { webhook_url: "https://own.example.com/x", webhook_events: ["generation.succeeded"], seed: 7 };
    const { id } = await drawn(world.runner, key, request);
    await until(() => world.received.length === 1);
    const again = await call("POST", "/v1/generations", { key, body: { prompt: "two purple cats", ...request } });
    const cached = await again.json<{ id: string; cached: boolean }>();
    expect(cached).toMatchObject({ cached: true });
    expect(cached.id).not.toBe(id);
    await until(() => world.received.length === 2);
    expect(world.received.map(({ body }) => JSON.parse(body).data.id)).toEqual([id, cached.id]);
    for (const { body, headers } of world.received) new Webhook(secret).verify(body, headers);
    expect(await logOf(key, "requests")).toHaveLength(2);
    const failing = await imagine(key, { ...request, seed: 8 });
    await arrival(world.runner, failing.id);
    await world.runner.fail(failing.id, "out of paint");
    expect(await logOf(key, "requests")).toHaveLength(2);
  });

  it("is told nothing of an account that was erased, for which no secret is made again", async () => {
    await account();
    const sent = await unsent(null);
    await env.DB.prepare("UPDATE accounts SET erased_at = 1 WHERE id = ?").bind(newestAccount()).run();
    expect(await attempt(depsAt(Date.now()), sent)).toBeNull();
    expect(world.received).toEqual([]);
    expect(
      await env.DB.prepare("SELECT webhook_secret FROM accounts WHERE id = ?").bind(newestAccount()).first(),
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
