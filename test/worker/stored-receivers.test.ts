import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { beforeEach, describe, it } from "vitest";
import { type CreatedWebhookEndpoint, newDeliveryId } from "../../src/contract/webhooks.ts";
import { attempt } from "../../src/worker/services/webhook-delivery.ts";
import { call, drawn, until } from "./harness.ts";
import {
  account,
  depsAt,
  endpoint,
  installWorld,
  newestAccount,
  type Received,
  unsent,
  type World,
} from "./webhook-world.ts";

let world: World;
let key: string;
beforeEach(async () => {
  world = installWorld();
  key = await account();
});

/** A delivery to an address that no request could name today, as an older version, or a name that changed, left it. */
async function stored(url: string): Promise<string> {
  const now = Date.now();
  const id = newDeliveryId(now);
  const row = { id, accountId: newestAccount(), endpointId: null, url, type: "generation.failed", payload: "{}" };
  await depsAt(now).deliveries.insert({ ...row, createdAt: now });
  return id;
}

const errorOf = (id: string) =>
  env.DB.prepare("SELECT last_error FROM webhook_deliveries WHERE id = ?").bind(id).first<string>("last_error");

describe("a stored receiver is looked at again when something is sent there", () => {
  it.for([
    ["http://hooks.example.com/in", "Use https."],
    ["ftp://hooks.example.com/in", "Use https."],
    ["https://user:pw@hooks.example.com/in", "user name or password"],
    ["https://user@hooks.example.com/in", "user name or password"],
    ["https://hooks.example.com:22/in", "Use port 443 or 8443."],
    ["https://hooks.example.com:5000/in", "Use port 443 or 8443."],
    ["https://127.0.0.1/in", "not reachable from the public internet"],
    ["https://10.0.0.1/in", "not reachable from the public internet"],
    ["https://2130706433/in", "not reachable from the public internet"],
    ["https://0x7f.1/in", "not reachable from the public internet"],
    ["https://[::1]/in", "not reachable from the public internet"],
    ["https://[::ffff:10.0.0.1]/in", "not reachable from the public internet"],
    ["https://169.254.169.254/latest/meta-data", "not reachable from the public internet"],
    ["https://localhost/in", "not reachable from the public internet"],
    ["https://vignette.test/internal/runner/gen_1", "Vignette itself"],
    ["https://vignette.test./internal/runner/gen_1", "Vignette itself"],
    ["not a URL", "This is not a URL."],
  ] as [string, string][])("%s", async ([url, words], { expect }) => {
    const id = await stored(url);
    expect(await attempt(depsAt(Date.now()), id)).not.toBeNull();
    expect(await errorOf(id)).toContain(words);
    expect(world.received).toEqual([]);
  });

  it("and is sent to where nothing is wrong with it", async ({ expect }) => {
    for (const url of [
      "https://hooks.example.com/in",
      "https://hooks.example.com:8443/in",
      "https://93.184.216.34/in",
    ]) {
      const id = await stored(url);
      expect(await attempt(depsAt(Date.now()), id)).toBeNull();
      expect(world.received.pop()?.url).toBe(url);
    }
  });

  it("was refused when it was named, and so is an address that is too long", async ({ expect }) => {
    const at = (url: string) => call("POST", "/v1/webhook-endpoints", { key, body: { url } });
    for (const url of ["https://vignette.test/x", "https://vignette.test./x", "https://hooks.example.com:5000/"])
      expect([url, (await at(url)).status]).toEqual([url, 422]);
    const base = "https://hooks.example.com/";
    expect((await at(base + "x".repeat(2000 - base.length))).status).toBe(201);
    expect((await at(base + "x".repeat(2001 - base.length))).status).toBe(422);
  });
});

describe("a message", () => {
  it("stays below 20 KB whatever the request holds", async ({ expect }) => {
    await endpoint(key);
    const metadata = Object.fromEntries(Array.from({ length: 7 }, (_, n) => [`note ${n}`, "\u{1f989}".repeat(512)]));
    await drawn(world.runner, key, {
      user: '"'.repeat(200),
      metadata: { ...metadata, last: '"'.repeat(500) },
      num_images: 4,
    });
    await until(() => world.received.length > 0);
    const [{ body }] = world.received as [Received];
    expect(JSON.parse(body).data.metadata).toMatchObject(metadata);
    const bytes = new TextEncoder().encode(body).byteLength;
    expect(bytes).toBeGreaterThan(15_000);
    expect(bytes).toBeLessThan(20_000);
  });
});

describe("an endpoint's secret that is being changed", () => {
  it("signs beside the new one until its time is over, and no longer", async ({ expect }) => {
    const { id, secret } = await endpoint(key);
    const path = `/v1/webhook-endpoints/${id}/rotate-secret`;
    const answer = await call("POST", path, { key, body: { overlap_seconds: 60 } });
    const { secret: fresh, previous_secret_until } = await answer.json<CreatedWebhookEndpoint>();
    const over = Date.parse(previous_secret_until ?? "");
    for (const [now, secrets] of [
      [over - 1, [fresh, secret]],
      [over, [fresh]],
    ] as const) {
      const sent = await unsent(id, { created: now });
      await attempt(depsAt(now), sent);
      const { headers } = world.received.pop() as Received;
      const signatures = secrets.map((each) => new Webhook(each).sign(sent, new Date(now), "{}"));
      expect(headers["webhook-signature"]).toBe(signatures.join(" "));
    }
  });
});
