import { beforeEach, describe, expect, it } from "vitest";
import type { WebhookEndpoint } from "../../src/contract/webhooks.ts";
import { attempt } from "../../src/worker/services/webhook-delivery.ts";
import { call, drawn, makeKey } from "./harness.ts";
import { account, delivery, depsAt, endpoint, installWorld, newestAccount, type World } from "./webhook-world.ts";

let world: World;
beforeEach(() => {
  world = installWorld();
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
    world.names["hooks.example.com"] = ["93.184.216.34", "192.168.1.1"];
    const { id } = await endpoint(key);
    await drawn(world.runner, key);
    const refused = await delivery(key, id, ({ attempts }) => attempts === 1);
    expect(refused.last_error).toContain("not of the public internet");
    world.names["hooks.example.com"] = [];
    expect(await attempt(depsAt(Date.parse(refused.next_attempt_at ?? "")), refused.id)).not.toBeNull();
    expect((await delivery(key, id)).last_error).toBe("The name has no address.");
    expect(world.received).toEqual([]);
    const redirecting = await endpoint(key, { url: "https://moved.example.com/" });
    world.answers["moved.example.com"] = () =>
      new Response(null, { status: 302, headers: { Location: "http://10.0.0.1/" } });
    await call("POST", `/v1/webhook-endpoints/${redirecting.id}/test`, { key });
    const moved = await delivery(key, redirecting.id, ({ attempts }) => attempts === 1);
    expect(moved).toMatchObject({ last_status: 302, last_error: expect.stringContaining("not followed") });
  });

  it("nobody sees or touches another account's endpoints, or does without the scope", async () => {
    const [key, other] = [await account(), await account()];
    const { id } = await endpoint(key);
    await drawn(world.runner, key);
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
    const plain = await makeKey({ account: newestAccount(), scopes: ["generate", "read"] });
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
