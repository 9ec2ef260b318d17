import { beforeEach, describe, it, vi } from "vitest";
import { attempt } from "../../src/worker/services/webhook-delivery.ts";
import { call, makeKey } from "./harness.ts";
import { account, depsAt, endpoint, installWorld, newestAccount, unsent } from "./webhook-world.ts";

beforeEach(() => {
  installWorld().answers["hooks.example.com"] = () => new Response(null, { status: 410 });
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

const noticeOf = async (key: string, path = "/v1/models") =>
  (await call("GET", path, { key })).headers.get("Vignette-Notice");

/** A key of the newest account that no isolate remembers: one that does tells what it knew for up to 30 s. */
const unseenKey = () => makeKey({ account: newestAccount(), scopes: ["read"] });

/** An endpoint of the newest account that was sent a message and wants no more. */
async function gone(key: string): Promise<string> {
  const { id } = await endpoint(key);
  const delivery = await unsent(id);
  await attempt(depsAt(Date.now()), delivery);
  return id;
}

describe("an account whose only webhook endpoint is out of use", () => {
  it("is told so by every answer, until it is in use again", async ({ expect }) => {
    const key = await account();
    const id = await gone(key);
    const reader = await unseenKey();
    const notice = `webhook-endpoint-disabled;id=${id};reason=gone`;
    for (const path of ["/v1/models", "/v1/generations", "/v1/generations/gen_nobody", "/v1/generations?limit=0"])
      expect(await noticeOf(reader, path), path).toBe(notice);
    expect(await noticeOf(await account())).toBeNull();

    const again = await call("PATCH", `/v1/webhook-endpoints/${id}`, { key, body: { disabled: false } });
    expect(again.headers.get("Vignette-Notice")).toBeNull();
    expect(await noticeOf(reader)).toBeNull();
  });

  it("is told of the newest of several, and of none that is deleted", async ({ expect }) => {
    const key = await account();
    const ids = [await gone(key), await gone(key)];
    const reader = await unseenKey();
    for (const id of ids.toSorted().reverse()) {
      expect(await noticeOf(reader)).toContain(id);
      await call("DELETE", `/v1/webhook-endpoints/${id}`, { key });
    }
    expect(await noticeOf(reader)).toBeNull();
  });

  it("hears nothing of one that it took out of use itself", async ({ expect }) => {
    const key = await account();
    const { id } = await endpoint(key);
    await call("PATCH", `/v1/webhook-endpoints/${id}`, { key, body: { disabled: true } });
    expect(await noticeOf(key)).toBeNull();
  });
});
