import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { beforeEach, describe, it, vi } from "vitest";
import { Policy } from "../../src/contract/policy.ts";
import { WebhookSecret } from "../../src/contract/webhooks.ts";
import { attempt } from "../../src/worker/services/webhook-delivery.ts";
import { call, makeKey } from "./harness.ts";
import { account, depsAt, installWorld, newestAccount, type Received, unsent, type World } from "./webhook-world.ts";

let world: World;
let key: string;
beforeEach(async () => {
  world = installWorld();
  world.answers["moderation.example.com"] = () => Response.json({ allowed: true });
  key = await account();
});

/** What was sent last. */
function newest(): Received {
  const message = world.received.pop();
  if (!message) throw new Error("Nothing was sent.");
  return message;
}

/** Which of these secrets verify a message, as Standard Webhooks' own library sees it. */
const verifying = ({ headers, body }: Received, secrets: string[]) =>
  secrets.filter((secret) => {
    try {
      new Webhook(secret).verify(body, headers);
      return true;
    } catch {
      return false;
    }
  });

describe("the default secret", () => {
  const PATH = "/v1/webhook-endpoints/default-secret";
  const secretOf = async (response: Promise<Response>) => WebhookSecret.parse(await (await response).json());
  const read = () => secretOf(call("GET", PATH, { key }));
  const rotate = (overlap_seconds?: number) =>
    secretOf(call("POST", `${PATH}/rotate`, { key, body: { overlap_seconds } }));

  /** What a request's own URL is sent at this time. */
  async function messageAt(now: number): Promise<Received> {
    await attempt(depsAt(now), await unsent(null, { created: now }));
    return newest();
  }

  it("is changed without a message that the old one or the new one cannot verify", async ({ expect }) => {
    const old = await read();
    expect(old.previous_secret_until).toBeNull();
    const fresh = await rotate(60);
    expect(await read()).toEqual(fresh);
    const until = Date.parse(fresh.previous_secret_until ?? "");
    const both = [old.secret, fresh.secret];
    expect(new Set(both).size).toBe(2);
    expect(verifying(await messageAt(until - 60_000), both)).toEqual(both);
    expect(verifying(await messageAt(until), both)).toEqual([fresh.secret]);
    expect((await rotate()).previous_secret_until).not.toBeNull();
  });

  it("ends at once with no overlap, and there is no old one before there was any", async ({ expect }) => {
    const first = await rotate();
    expect(first.previous_secret_until).toBeNull();
    const second = await rotate(0);
    expect(second.previous_secret_until).toBeNull();
    expect(verifying(await messageAt(Date.now()), [first.secret, second.secret])).toEqual([second.secret]);
  });

  it("goes with its account, the old one too", async ({ expect }) => {
    await rotate();
    await rotate();
    expect((await call("DELETE", `/v1/account?confirm=${newestAccount()}`, { key })).status).toBe(202);
    const row = await env.DB.prepare("SELECT webhook_secret, previous_webhook_secret FROM accounts WHERE id = ?")
      .bind(newestAccount())
      .first();
    expect(row).toEqual({ webhook_secret: null, previous_webhook_secret: null });
  });

  it("is rotated by who may manage webhooks, for a week's overlap at most", async ({ expect }) => {
    const other = await makeKey({ account: newestAccount(), scopes: ["read", "generate", "admin"] });
    expect((await call("POST", `${PATH}/rotate`, { key: other, body: {} })).status).toBe(403);
    expect((await call("POST", `${PATH}/rotate`, { key, body: { overlap_seconds: 8 * 24 * 3600 } })).status).toBe(422);
  });
});

describe("a moderation hook's secret", () => {
  const moderation = { url: "https://moderation.example.com/ask", on_failure: "closed", timeout_ms: 5000 };
  const put = (body: unknown) => call("PUT", "/v1/policy", { key, body });
  const policyOf = async (response: Promise<Response>) => Policy.parse(await (await response).json());
  const rotate = (overlap_seconds?: number, query = "", by = key) =>
    call("POST", `/v1/policy/rotate-secret${query}`, { key: by, body: { overlap_seconds } });

  /** What the hook is asked now. */
  async function question(): Promise<Received> {
    const { status } = await call("POST", "/v1/generations", { key, body: { prompt: "a purple cat" } });
    if (status !== 202) throw new Error(`The prompt was answered with ${status}.`);
    return newest();
  }

  it("is changed while prompts are checked, with one and then the other", async ({ expect }) => {
    const { secret: old } = await policyOf(put({ moderation }));
    const fresh = await policyOf(rotate(60));
    expect(fresh.moderation).toEqual(moderation);
    const until = Date.parse(fresh.previous_secret_until ?? "");
    const both = [old ?? "", fresh.secret ?? ""];
    expect(verifying(await question(), both)).toEqual(both);
    // Setting the policy anew changes neither.
    expect(await policyOf(put({ moderation, max_prompt_chars: 100 }))).toMatchObject({
      secret: fresh.secret,
      previous_secret_until: fresh.previous_secret_until,
    });
    expect(verifying(await question(), both)).toEqual(both);
    const clock = vi.spyOn(Date, "now").mockReturnValue(until);
    const later = await question();
    clock.mockRestore();
    expect(verifying(later, both)).toEqual([fresh.secret]);
  });

  it("ends at once with no overlap", async ({ expect }) => {
    const { secret: old } = await policyOf(put({ moderation }));
    await question();
    const fresh = await policyOf(rotate(0));
    expect(fresh.previous_secret_until).toBeNull();
    expect(verifying(await question(), [old ?? "", fresh.secret ?? ""])).toEqual([fresh.secret]);
  });

  it("is not there without a hook", async ({ expect }) => {
    expect((await rotate()).status).toBe(404);
    await put({ max_prompt_chars: 100 });
    expect((await rotate()).status).toBe(404);
  });

  it("is an operator's to change for any account, and for all", async ({ expect }) => {
    const operator = await makeKey({ account: "operations", operator: true });
    const { secret } = await policyOf(put({ moderation }));
    const rotated = await policyOf(rotate(0, `?account=${newestAccount()}`, operator));
    expect([rotated.account, rotated.secret === secret]).toEqual([newestAccount(), false]);
    expect((await rotate(0, "?account=*", operator)).status).toBe(404);
    expect((await rotate(0, "?account=operations")).status).toBe(403);
  });
});
