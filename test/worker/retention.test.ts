import {
  createExecutionContext,
  createScheduledController,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, it, vi } from "vitest";
import { Account } from "../../src/contract/accounts.ts";
import type { Generation } from "../../src/contract/generation.ts";
import { newKey } from "../../src/contract/keys.ts";
import type { Problem } from "../../src/contract/problem.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import worker from "../../src/worker/index.ts";
import { eraseSome, sweepRetention } from "../../src/worker/services/retention.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, reaches, read } from "./harness.ts";

let runner: FakeRunner;
let key: string;
let account: string;
/** What no trace may be left of. */
let secret: string;
let count = 0;
beforeAll(() => {
  runner = installRunner();
});
beforeEach(async () => {
  account = `kept-${++count}-days`;
  secret = `a very private sentence, number ${count}.`;
  key = await makeKey({ account });
});
afterEach(() => {
  vi.useRealTimers();
});

const later = (days: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + days * 86_400_000 });
const keep = (retention: object) => call("PATCH", "/v1/account", { key, body: { retention } });

async function cron(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController(), env, ctx);
  await waitOnExecutionContext(ctx);
}

async function drawn(request: Record<string, unknown> = {}): Promise<Generation> {
  const { id } = await imagine(key, { prompt: secret, ...request });
  await arrival(runner, id);
  await runner.draw(id);
  return reaches(key, id, "succeeded");
}

const objects = async (id: string) =>
  (await env.IMAGES.list({ prefix: `images/${id}/` })).objects.map((one) => one.key);
const erasing = () => env.DB.prepare("SELECT erasing FROM accounts WHERE id = ?").bind(account).first("erasing");
/** In days: after so long nobody remembers a key of an erased account, nor works for one. */
const MINUTE = 1 / (24 * 60);
const used = (id = account) =>
  env.DB.prepare("SELECT SUM(images) AS n FROM usage WHERE account_id = ?").bind(id).first("n");

describe("pictures", () => {
  it("go after their days, with what the cache would answer; the generation and its usage stay", async ({ expect }) => {
    expect(await (await keep({ images_days: 1 })).json()).toMatchObject({
      retention: { images_days: 1, generations_days: null },
    });
    const { id, images } = await drawn({ seed: 5, num_images: 2 });
    const url = images[0]?.url ?? "";
    later(0.9);
    await cron();
    expect((await call("GET", url)).status).toBe(200);
    later(0.2);
    await cron();
    expect((await call("GET", url)).status).toBe(404);
    expect(await objects(id)).toEqual([]);
    expect(await read(key, id)).toMatchObject({ status: "succeeded", prompt: secret, images: [] });
    expect(await used()).toBe(2);
    const again = await call("POST", "/v1/generations", { key, body: { prompt: secret, seed: 5, num_images: 2 } });
    expect([again.status, again.headers.get("Cache-Status")]).toEqual([202, "vignette; fwd=uri-miss; stored"]);
  });

  it("that a younger generation shows too stay in its place", async ({ expect }) => {
    await keep({ images_days: 1 });
    const old = await drawn({ seed: 6 });
    later(0.5);
    const copy = await (
      await call("POST", "/v1/generations", { key, body: { prompt: secret, seed: 6, user: "ada" } })
    ).json<Generation>();
    expect(copy.cached).toBe(true);
    later(0.6);
    await cron();
    expect((await call("GET", old.images[0]?.url ?? "")).status).toBe(404);
    expect((await call("GET", copy.images[0]?.url ?? "")).status).toBe(200);
    later(0.5);
    await cron();
    expect((await call("GET", copy.images[0]?.url ?? "")).status).toBe(404);
    expect(await objects(old.id)).toEqual([]);
  });

  it("may be kept by nobody for longer than here", async ({ expect }) => {
    const { images } = await drawn();
    const kept = async () => (await call("GET", images[0]?.url ?? "")).headers.get("Cache-Control");
    expect(await kept()).toBe("public, max-age=31536000, immutable");
    await keep({ images_days: 30, generations_days: 10 });
    const [, seconds] = /max-age=(\d+),/.exec((await kept()) ?? "") ?? [];
    expect(Number(seconds)).toBeLessThanOrEqual(10 * 86_400);
    expect(Number(seconds)).toBeGreaterThan(9.9 * 86_400);
  });

  it("are deleted though the storage fails at first", async ({ expect }) => {
    await keep({ images_days: 1 });
    const { id } = await drawn();
    later(2);
    vi.spyOn(console, "error").mockImplementation(() => {});
    const broken = vi.spyOn(env.IMAGES, "delete").mockRejectedValue(new Error("internal"));
    await cron();
    broken.mockRestore();
    expect(await objects(id)).toHaveLength(1);
    await cron();
    expect(await objects(id)).toEqual([]);
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM doomed_objects").first("n")).toBe(0);
  });
});

describe("generations", () => {
  it("go after their days with everything that repeats what they said", async ({ expect }) => {
    await keep({ generations_days: 2 });
    const headers = { "Idempotency-Key": "kept-for-a-day" };
    const body = { prompt: secret, seed: 7, metadata: { note: secret }, webhook_url: "https://example.com/told" };
    const { id } = await (await call("POST", "/v1/generations", { key, body, headers })).json<Generation>();
    await arrival(runner, id);
    await runner.draw(id);
    await reaches(key, id, "succeeded");
    await env.DB.prepare("UPDATE webhook_deliveries SET status = 'delivered', payload = ?").bind(secret).run();
    later(3);
    await cron();
    expect((await call("GET", `/v1/generations/${id}`, { key })).status).toBe(404);
    expect(await objects(id)).toEqual([]);
    expect(await trace(secret)).toEqual([]);
    expect(await used()).toBe(1);
  });

  it("that have not ended stay until they have", async ({ expect }) => {
    await keep({ generations_days: 1, images_days: 1 });
    const { id } = await imagine(key, { prompt: secret });
    await arrival(runner, id);
    const ended = await drawn();
    later(2);
    const deps = makeDeps(env, { waitUntil() {} });
    await sweepRetention(deps);
    expect((await call("GET", `/v1/generations/${id}`, { key })).status).toBe(200);
    expect((await call("GET", `/v1/generations/${ended.id}`, { key })).status).toBe(200);
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    await keep({ generations_days: 1 });
    await sweepRetention(deps);
    for (const each of [id, ended.id]) expect((await call("GET", `/v1/generations/${each}`, { key })).status).toBe(404);
  });

  it("go by the instance's own days where the account says nothing", async ({ expect }) => {
    const { id } = await drawn();
    later(3);
    const days = (variables: object) => sweepRetention(makeDeps({ ...env, ...variables }, { waitUntil() {} }));
    await days({ IMAGES_DAYS: "30", GENERATIONS_DAYS: "30" });
    expect((await read(key, id)).images).toHaveLength(1);
    later(0.1);
    await days({ IMAGES_DAYS: "2" });
    expect((await read(key, id)).images).toEqual([]);
    later(0.1);
    await days({ GENERATIONS_DAYS: "2" });
    expect((await call("GET", `/v1/generations/${id}`, { key })).status).toBe(404);
  });

  it("leave nothing in their live object when they are deleted", async ({ expect }) => {
    const { id } = await drawn();
    expect((await call("DELETE", `/v1/generations/${id}`, { key })).status).toBe(204);
    expect(await trace(secret)).toEqual([]);
    const stored = await runInDurableObject(env.GENERATION.get(env.GENERATION.idFromName(id)), async (_, state) => ({
      keys: [...(await state.storage.list()).keys()],
      alarm: await state.storage.getAlarm(),
    }));
    expect(stored).toEqual({ keys: [], alarm: null });
  });
});

describe("an account", () => {
  const erase = (query: string, by = key) => call("DELETE", `/v1/account${query}`, { key: by });

  it("that is erased leaves its id and what it used, and nothing else anywhere", async ({ expect }) => {
    const other = await makeKey({ account: `neighbour-${count}` });
    const neighbour = await imagine(other, { prompt: "somebody else's" });
    const { images } = await drawn({ seed: 9, user: secret, metadata: { note: secret } });
    const waiting = await imagine(key, { prompt: secret });
    await arrival(runner, waiting.id);
    await call("PUT", "/v1/policy", { key, body: { rules: [{ id: "one", terms: [secret] }] } });
    await call("POST", "/v1/webhook-endpoints", { key, body: { url: "https://example.com/in", description: secret } });
    await call("POST", "/v1/keys", { key, body: { name: secret, scopes: ["read"] } });
    await call("POST", "/v1/generations", { key, body: { prompt: secret }, headers: { "Idempotency-Key": "once" } });

    expect((await erase("")).status).toBe(422);
    const wrong = await erase("?confirm=something-else");
    expect((await wrong.json<Problem>()).errors?.[0]?.pointer).toBe("#/confirm");
    const gone = await erase(`?confirm=${account}`);
    expect(gone.status).toBe(202);
    expect(Account.parse(await gone.json())).toMatchObject({ id: account, erasing: true });
    expect((await call("GET", "/v1/generations", { key })).status).toBe(401);
    await vi.waitUntil(async () => (await trace(secret)).length === 0, { timeout: 30_000, interval: 20 });
    expect(await erasing()).toBe(1);
    later(MINUTE);
    await cron();
    expect(await erasing()).toBe(0);

    expect(await trace(secret)).toEqual([]);
    expect(await trace(account)).toEqual(["accounts", "usage"]);
    expect((await call("GET", images[0]?.url ?? "")).status).toBe(404);
    expect(await used()).toBe(1);
    expect(runner.get(waiting.id).status).toBe("canceled");
    expect((await read(other, neighbour.id)).prompt).toBe("somebody else's");

    const operator = await makeKey({ account: "operations", operator: true });
    const body = { name: "back", scopes: ["read"], account };
    const refused = await call("POST", "/v1/keys", { key: operator, body });
    expect([refused.status, (await refused.json<Problem>()).code]).toEqual([409, "account_erased"]);
    const found = await call("GET", `/v1/account?account=${account}`, { key: operator });
    expect(await found.json()).toMatchObject({ erasing: false, erased_at: expect.any(String) });
  });

  it("is erased on to the end by the cron when its isolate dies", async ({ expect }) => {
    const { id } = await drawn();
    const deps = makeDeps(env, { waitUntil() {} });
    await deps.retention.beginErasure(account, deps.now());
    later(MINUTE);
    await cron();
    expect(await trace(id)).toEqual([]);
    expect(await erasing()).toBe(0);
  });

  it("is erased with what was done for a key that another isolate remembered", async ({ expect }) => {
    const admin = await makeKey({ account, scopes: ["admin"] });
    for (const known of [key, admin]) await call("GET", "/v1/account", { key: known });
    await call("GET", "/v1/models", { key });
    const deps = makeDeps(env, { waitUntil() {} });
    await deps.retention.beginErasure(account, deps.now());
    await cron();
    const { id } = await imagine(key, { prompt: secret });
    await call("PATCH", "/v1/profiles/ada", { key, body: { preferences: { note: secret } } });
    expect((await trace(secret)).length).toBeGreaterThan(1);
    const body = { name: secret, scopes: ["admin"] };
    expect((await call("POST", "/v1/keys", { key: admin, body })).status).toBe(401);
    await cron();
    expect(await erasing()).toBe(1);
    await imagine(key, { prompt: secret });
    later(MINUTE);
    await cron();
    expect(await erasing()).toBe(0);
    expect([await trace(secret), await trace(id)]).toEqual([[], []]);
    expect(await trace(account)).toEqual(["accounts"]);
  });

  it("that is being erased gets no key, whoever had looked before", async ({ expect }) => {
    const deps = makeDeps(env, { waitUntil() {} });
    await deps.retention.beginErasure(account, deps.now());
    const before = await env.DB.prepare("SELECT COUNT(*) AS n FROM keys WHERE account_id = ?").bind(account).first("n");
    const { id, prefix, hash } = await newKey();
    const row = { id, prefix, hash, accountId: account, name: "back", scopes: ["admin" as const], limits: {} };
    const stored = await deps.keys.insert(
      { ...row, createdAt: deps.now(), expiresAt: null, revokedAt: null },
      { operator: false },
    );
    expect(stored).toBe(false);
    expect(await env.DB.prepare("SELECT COUNT(*) AS n FROM keys WHERE account_id = ?").bind(account).first("n")).toBe(
      before,
    );
  });

  it("that is being erased tells nobody of what is canceled for it", async ({ expect }) => {
    const { id } = await imagine(key, { webhook_url: "https://example.com/told" });
    await arrival(runner, id);
    const told: string[] = [];
    const work: Promise<unknown>[] = [];
    const deps = makeDeps(env, { waitUntil: (one) => void work.push(one) });
    deps.deliver = async (delivery) => void told.push(delivery);
    await deps.retention.beginErasure(account, deps.now());
    expect(await eraseSome(deps, account)).toBe(false);
    await Promise.all(work);
    expect(told).toEqual([]);
    expect((await call("GET", `/v1/generations/${id}`, { key })).status).toBe(404);
  });

  it("is erased by itself or an operator, and no operator's", async ({ expect }) => {
    const operator = await makeKey({ account: "operations", operator: true });
    const other = await makeKey({ account: `other-${count}` });
    expect((await erase(`?account=${account}&confirm=${account}`, other)).status).toBe(403);
    const own = await erase("?confirm=operations", operator);
    expect([own.status, (await own.json<Problem>()).code]).toEqual([409, "operator_account"]);
    expect((await erase(`?account=${account}&confirm=${account}`, operator)).status).toBe(202);
    const changed = await call("PATCH", "/v1/account", { key: operator, body: { account, limits: {} } });
    expect((await changed.json<Problem>()).code).toBe("account_erased");
  });
});

/** The tables in which a text stands. */
async function trace(text: string): Promise<string[]> {
  const { results } = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name",
  ).all<{ name: string }>();
  const found: string[] = [];
  for (const { name } of results) {
    const rows = await env.DB.prepare(`SELECT * FROM ${name}`).all();
    if (rows.results.some((row) => Object.values(row).some((value) => String(value).includes(`${text}`))))
      found.push(name);
  }
  return found;
}
