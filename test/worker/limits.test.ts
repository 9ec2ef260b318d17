import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import type { KeyLimits } from "../../src/contract/keys.ts";
import { Problem } from "../../src/contract/problem.ts";
import { Usage } from "../../src/contract/usage.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import { check } from "../../src/worker/services/check.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, reaches, read } from "./harness.ts";

let runner: FakeRunner;
beforeAll(() => {
  runner = installRunner();
});
afterEach(() => {
  vi.useRealTimers();
});

let accounts = 0;
/** A key in an account of its own. */
async function limited(limits: KeyLimits, account?: Record<string, number>): Promise<string> {
  const name = `limited-${++accounts}`;
  const key = await makeKey({ account: name, limits });
  if (account)
    await env.DB.prepare("UPDATE accounts SET limits = ? WHERE id = ?").bind(JSON.stringify(account), name).run();
  return key;
}

const post = (key: string, body: Record<string, unknown> = {}) =>
  call("POST", "/v1/generations", { key, body: { prompt: "two purple cats", ...body } });

async function refusal(response: Response) {
  const { code, status, "violated-policies": violated, detail } = Problem.parse(await response.json());
  return { code, status, violated, detail, retryAfter: Number(response.headers.get("Retry-After")) };
}

async function drawn(key: string, body: Record<string, unknown> = {}): Promise<string> {
  const { id } = await imagine(key, body);
  await arrival(runner, id);
  await runner.draw(id);
  await reaches(key, id, "succeeded");
  return id;
}

async function quotas(key: string, user?: string) {
  const answer = await call("GET", `/v1/usage${user ? `?user=${user}` : ""}`, { key });
  const usage = Usage.parse(await answer.json());
  return Object.fromEntries(usage.quotas.map(({ policy, remaining }) => [policy, remaining]));
}

describe("requests per minute", () => {
  it("are announced, refused when used up, and come back as time passes", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 2 });
    const first = await post(key);
    expect(first.headers.get("RateLimit-Policy")).toBe('"requests";q=2;w=60');
    expect(first.headers.get("RateLimit")).toMatch(/^"requests";r=1;t=(29|30)$/);
    expect((await post(key)).status).toBe(202);
    const third = await post(key);
    expect(third.headers.get("RateLimit")).toMatch(/^"requests";r=0;t=\d+$/);
    const refused = await refusal(third);
    expect(refused).toMatchObject({ code: "rate_limited", status: 429, violated: ["requests"] });
    expect(refused.retryAfter).toBeGreaterThan(0);
    expect(refused.retryAfter).toBeLessThanOrEqual(30);
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 30_000);
    expect((await post(key)).status).toBe(202);
    clock.mockRestore();
  });

  it("cost a blocked key no hop to the limits object before the reset", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 1 });
    expect((await post(key)).status).toBe(202);
    expect((await post(key)).status).toBe(429);
    const hop = vi.spyOn(env.LIMITS, "get");
    for (const other of [{}, { user: "ada" }, { num_images: 2 }])
      expect((await refusal(await post(key, other))).code).toBe("rate_limited");
    expect(hop).not.toHaveBeenCalled();
    hop.mockRestore();
  });

  it("cost a flood no hop either: the coarse limit refuses it first", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 5 });
    const coarse = vi.spyOn(env.COARSE_LIMIT, "limit").mockResolvedValue({ success: false });
    const hop = vi.spyOn(env.LIMITS, "get");
    const refused = await refusal(await post(key));
    expect(refused).toMatchObject({ code: "rate_limited", status: 429, violated: ["burst"] });
    expect(refused.retryAfter).toBeGreaterThan(0);
    expect(refused.retryAfter).toBeLessThanOrEqual(10);
    expect(hop).not.toHaveBeenCalled();
    hop.mockRestore();
    coarse.mockRestore();
    expect((await post(key)).status).toBe(202);
  });

  it("do not count a request that was refused for what it says", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 1 });
    expect((await post(key, { width: 3 })).status).toBe(422);
    expect((await post(key)).status).toBe(202);
  });
});

describe("generations at once", () => {
  it("free their place at every kind of end", async ({ expect }) => {
    const key = await limited({ concurrent: 1 });
    const one = await imagine(key);
    expect(await refusal(await post(key))).toMatchObject({ code: "too_many_generations", violated: ["concurrent"] });
    await call("POST", `/v1/generations/${one.id}/cancel`, { key });
    const two = await imagine(key);
    expect((await post(key)).status).toBe(429);
    await arrival(runner, two.id);
    await runner.fail(two.id, "Out of paint.");
    await drawn(key);
    const last = await imagine(key);
    expect((await post(key)).status).toBe(429);
    await call("DELETE", `/v1/generations/${last.id}`, { key });
    expect((await post(key)).status).toBe(202);
  });

  it("hold for an account's keys together and for each of its users", async ({ expect }) => {
    const key = await limited({}, { concurrent: 2, concurrent_per_user: 1 });
    await imagine(key, { user: "ada" });
    expect(await refusal(await post(key, { user: "ada" }))).toMatchObject({ violated: ["user-concurrent"] });
    await imagine(key, { user: "bob" });
    expect(await refusal(await post(key, { user: "eve" }))).toMatchObject({ violated: ["account-concurrent"] });
  });

  it("exactly as many pass as there are places, when all come together", async ({ expect }) => {
    const key = await limited({ concurrent: 3 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(key)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 202, 202, 429, 429, 429, 429, 429]);
  });

  it("are found free when an end was never told", async ({ expect }) => {
    const key = await limited({ concurrent: 1, images_per_day: 9 });
    const { id } = await imagine(key);
    await env.DB.prepare("UPDATE generations SET status = 'failed' WHERE id = ?").bind(id).run();
    expect((await post(key)).status).toBe(429);
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 61_000);
    expect((await post(key)).status).toBe(202);
    clock.mockRestore();
    expect((await quotas(key))["images-per-day"]).toBe(8);
  });
});

describe("pictures a day", () => {
  it("are counted when accepted, given back on failure and cancel, kept on success", async ({ expect }) => {
    const key = await limited({ images_per_day: 4 });
    await drawn(key, { num_images: 2 });
    expect(await quotas(key)).toEqual({ "images-per-day": 2 });
    const { id } = await imagine(key, { num_images: 2 });
    expect(await quotas(key)).toEqual({ "images-per-day": 0 });
    const refused = await refusal(await post(key));
    expect(refused).toMatchObject({ code: "quota_exceeded", violated: ["images-per-day"] });
    expect(refused.retryAfter).toBeLessThanOrEqual(86_400);
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    expect(await quotas(key)).toEqual({ "images-per-day": 2 });
    expect((await refusal(await post(key, { num_images: 3 }))).detail).toContain("2 are left today and 3 were asked");
    const failing = await imagine(key, { num_images: 2 });
    await arrival(runner, failing.id);
    await runner.fail(failing.id, "Out of paint.");
    expect(await quotas(key)).toEqual({ "images-per-day": 2 });
  });

  it("that were given back can be had at once, also by who was refused before", async ({ expect }) => {
    const key = await limited({ images_per_day: 1 });
    const { id } = await imagine(key);
    for (let i = 0; i < 2; i++) expect((await refusal(await post(key))).code).toBe("quota_exceeded");
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    expect((await post(key)).status).toBe(202);
  });

  it("are asked for once when they are gone for good, whoever asks and for how many", async ({ expect }) => {
    const key = await limited({}, { images_per_day: 3, images_per_day_per_user: 2 });
    await drawn(key, { user: "ada" });
    expect(await refusal(await post(key, { user: "ada", num_images: 2 }))).toMatchObject({ code: "quota_exceeded" });
    await drawn(key, { user: "bob" });
    expect(await refusal(await post(key, { num_images: 2 }))).toMatchObject({ violated: ["account-images-per-day"] });
    const hop = vi.spyOn(env.LIMITS, "get");
    for (const [body, violated] of [
      [{ user: "ada", num_images: 3 }, "user-images-per-day"],
      [{ user: "eve", num_images: 2 }, "account-images-per-day"],
      [{ num_images: 4 }, "account-images-per-day"],
    ] as const) {
      const response = await post(key, body);
      expect(response.headers.get("RateLimit-Policy")).toMatch(new RegExp(`^"${violated}";q=\\d;w=86400$`));
      expect(await refusal(response)).toMatchObject({ code: "quota_exceeded", violated: [violated] });
    }
    expect(hop).not.toHaveBeenCalled();
    hop.mockRestore();
    expect((await post(key, { user: "eve" })).status).toBe(202);
  });

  it("are found free when an end was never told", async ({ expect }) => {
    const key = await limited({ images_per_day: 1 });
    const { id } = await imagine(key);
    await env.DB.prepare("UPDATE generations SET status = 'failed' WHERE id = ?").bind(id).run();
    expect((await post(key)).status).toBe(429);
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 61_000);
    expect((await post(key)).status).toBe(202);
    clock.mockRestore();
  });

  it("hold per end user and per account, and begin anew with the day", async ({ expect }) => {
    const key = await limited({}, { images_per_day: 3, images_per_day_per_user: 2 });
    await imagine(key, { user: "ada", num_images: 2 });
    expect(await refusal(await post(key, { user: "ada" }))).toMatchObject({ violated: ["user-images-per-day"] });
    expect(await quotas(key, "ada")).toEqual({ "user-images-per-day": 0, "account-images-per-day": 1 });
    await imagine(key, { user: "bob" });
    expect(await refusal(await post(key))).toMatchObject({ violated: ["account-images-per-day"] });
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 86_400_000);
    expect((await post(key, { user: "ada" })).status).toBe(202);
    clock.mockRestore();
  });
});

describe("who waits for another's pictures and has to be drawn after all", () => {
  /** One under way by nobody in particular, and who joined it. */
  async function joined(key: string, seed: number, users: string[]) {
    const leader = await imagine(key, { seed });
    await arrival(runner, leader.id);
    const ids: string[] = [];
    for (const user of users) ids.push((await imagine(key, { seed, user })).id);
    return { leader: leader.id, ids };
  }
  const cancel = (key: string, id: string) => call("POST", `/v1/generations/${id}/cancel`, { key });

  it("costs nothing while those come, and a picture when not", async ({ expect }) => {
    const key = await limited({ images_per_day: 5 });
    const { leader, ids } = await joined(key, 91_001, ["ada", "bob"]);
    const [ada = "", bob = ""] = ids;
    expect(await quotas(key)).toEqual({ "images-per-day": 4 });
    await cancel(key, leader);
    expect(await quotas(key)).toEqual({ "images-per-day": 4 });
    await arrival(runner, ada);
    await cancel(key, ada);
    expect(await quotas(key)).toEqual({ "images-per-day": 4 });
    await arrival(runner, bob);
    await runner.draw(bob);
    await reaches(key, bob, "succeeded");
    expect(await quotas(key)).toEqual({ "images-per-day": 4 });
  });

  it("ends where the day's pictures are used up, and the next one goes on", async ({ expect }) => {
    const key = await limited({}, { images_per_day_per_user: 1 });
    await drawn(key, { user: "ada" });
    const { leader, ids } = await joined(key, 91_002, ["ada", "bob"]);
    const [ada = "", bob = ""] = ids;
    await cancel(key, leader);
    expect(await read(key, ada)).toMatchObject({
      status: "failed",
      error: { code: "quota_exceeded", message: expect.stringContaining("1 pictures a day") },
    });
    await arrival(runner, bob);
    expect(runner.predictions.has(ada)).toBe(false);
    expect(await refusal(await post(key, { user: "bob" }))).toMatchObject({ violated: ["user-images-per-day"] });
  });

  it("goes on waiting where only a place is missing", async ({ expect }) => {
    const key = await limited({}, { concurrent_per_user: 1 });
    const { leader, ids } = await joined(key, 91_003, ["ada"]);
    const [ada = ""] = ids;
    const other = await imagine(key, { user: "ada" });
    await cancel(key, leader);
    expect(await read(key, ada)).toMatchObject({ status: "queued" });
    await cancel(key, other.id);
    const ctx = createExecutionContext();
    await check(makeDeps(env, ctx), ada);
    await waitOnExecutionContext(ctx);
    await arrival(runner, ada);
    expect((await post(key, { user: "ada" })).status).toBe(429);
  });
});

describe("usage", () => {
  it("counts what succeeded, once, and outlives it", async ({ expect }) => {
    const key = await limited({});
    const id = await drawn(key, { num_images: 2 });
    await runner.callback(runner.get(id), "completed");
    const canceled = await imagine(key);
    await call("POST", `/v1/generations/${canceled.id}/cancel`, { key });
    await call("DELETE", `/v1/generations/${id}`, { key });
    const { data } = Usage.parse(await (await call("GET", "/v1/usage", { key })).json());
    expect(data).toEqual([{ date: new Date().toISOString().slice(0, 10), generations: 1, images: 2, cached: 0 }]);
    expect((await call("GET", "/v1/usage?days=0", { key })).status).toBe(422);
    const other = await limited({});
    expect(Usage.parse(await (await call("GET", "/v1/usage", { key: other })).json())).toEqual({
      data: [],
      quotas: [],
    });
  });
});

describe("/v1/account", () => {
  const patch = (key: string, body: unknown) => call("PATCH", "/v1/account", { key, body });

  it("lets an account limit its users, and only operators its sum", async ({ expect }) => {
    const key = await limited({}, { images_per_day: 5 });
    const limits = { images_per_day: 5, images_per_day_per_user: 1 };
    expect(await (await patch(key, { limits })).json()).toMatchObject({ limits, operator: false });
    await imagine(key, { user: "ada" });
    expect((await post(key, { user: "ada" })).status).toBe(429);
    for (const greedy of [{ ...limits, images_per_day: 500 }, { images_per_day_per_user: 1 }]) {
      const refused = await patch(key, { limits: greedy });
      expect(refused.status).toBe(403);
      expect(Problem.parse(await refused.json())).toMatchObject({
        code: "operator_only",
        errors: [{ pointer: "#/limits/images_per_day" }],
      });
    }
    const operator = await makeKey({ account: "operations", operator: true });
    const account = `limited-${accounts}`;
    const raised = await patch(operator, { account, limits: { images_per_day: 500 } });
    expect(await raised.json()).toMatchObject({ id: account, limits: { images_per_day: 500 } });
    expect((await post(key, { user: "ada" })).status).toBe(202);
    expect((await call("GET", `/v1/account?account=${account}`, { key: operator })).status).toBe(200);
    expect((await call("GET", "/v1/account?account=operations", { key })).status).toBe(403);
    expect((await patch(operator, { account: "nobody", limits: {} })).status).toBe(404);
  });
});

describe("without the limits object", () => {
  it("requests pass, uncounted", async ({ expect }) => {
    const key = await limited({ concurrent: 1 });
    vi.spyOn(console, "error").mockImplementation(() => {});
    const broken = vi.spyOn(env.LIMITS, "get").mockImplementation(() => {
      throw new Error("overloaded");
    });
    expect((await post(key)).status).toBe(202);
    expect((await post(key)).status).toBe(202);
    broken.mockRestore();
  });

  it("the usage tells the days alone", async ({ expect }) => {
    const key = await limited({ images_per_day: 5 });
    await drawn(key);
    vi.spyOn(console, "error").mockImplementation(() => {});
    const broken = vi.spyOn(env.LIMITS, "get").mockImplementation(() => {
      throw new Error("overloaded");
    });
    const answer = await call("GET", "/v1/usage", { key });
    broken.mockRestore();
    expect(answer.status).toBe(200);
    expect(Usage.parse(await answer.json())).toMatchObject({ data: [{ images: 1 }], quotas: [] });
  });
});

describe("a group", () => {
  const set = (key: string, id: string, change: unknown) => call("PATCH", `/v1/groups/${id}`, { key, body: change });

  it("has limits for each user in it and for all, which hold as soon as they are set", async ({ expect }) => {
    const key = await limited({});
    const before = await (await call("GET", "/v1/groups/chat:1", { key })).json();
    expect(before).toEqual({ id: "chat:1", object: "group", limits: {}, users: {} });
    expect((await post(key, { group: "chat:1", user: "ada" })).headers.get("RateLimit")).toBeNull();
    const limits = { images_per_day_per_user: 1, images_per_day: 3 };
    expect(await (await set(key, "chat:1", { limits })).json()).toMatchObject({ limits, users: {} });
    expect((await post(key, { group: "chat:1", user: "ada" })).status).toBe(202);
    const refused = await refusal(await post(key, { group: "chat:1", user: "ada" }));
    expect(refused).toMatchObject({ code: "quota_exceeded", violated: ["group-user-images-per-day"] });
    expect(refused.detail).toMatch(/^This end user in this group may have 1 pictures a day/);
    // Elsewhere the same person is free, and raising the limit is felt at once.
    expect((await post(key, { group: "chat:2", user: "ada" })).status).toBe(202);
    await set(key, "chat:1", { limits: { ...limits, images_per_day_per_user: 2 } });
    expect((await post(key, { group: "chat:1", user: "ada" })).status).toBe(202);
    expect((await post(key, { group: "chat:1", user: "bob" })).status).toBe(202);
    const full = await refusal(await post(key, { group: "chat:1", user: "eve" }));
    expect(full).toMatchObject({ code: "quota_exceeded", violated: ["group-images-per-day"] });
    const answer = await call("GET", "/v1/usage?user=bob&group=chat:1", { key });
    expect(Usage.parse(await answer.json()).quotas).toMatchObject([
      { policy: "group-user-images-per-day", limit: 2, remaining: 1 },
      { policy: "group-images-per-day", limit: 3, remaining: 0 },
    ]);
  });

  it("blocks one, frees another, and forgets both; other accounts' groups of that name are others", async ({
    expect,
  }) => {
    const key = await limited({});
    await set(key, "chat:1", {
      limits: { concurrent_per_user: 1 },
      users: { eve: { images_per_day: 0 }, bob: { concurrent: 2 } },
    });
    const blocked = await refusal(await post(key, { group: "chat:1", user: "eve" }));
    expect(blocked).toMatchObject({ code: "user_blocked", status: 403 });
    for (let i = 0; i < 2; i++) expect((await post(key, { group: "chat:1", user: "bob" })).status).toBe(202);
    expect((await refusal(await post(key, { group: "chat:1", user: "bob" }))).code).toBe("too_many_generations");
    const changed = await (await set(key, "chat:1", { users: { eve: null } })).json();
    expect(changed).toMatchObject({ limits: { concurrent_per_user: 1 }, users: { bob: { concurrent: 2 } } });
    expect((await post(key, { group: "chat:1", user: "eve" })).status).toBe(202);
    const other = await limited({});
    expect(await (await call("GET", "/v1/groups/chat:1", { key: other })).json()).toMatchObject({
      limits: {},
      users: {},
    });
  });

  it("names the field that is wrong, and has no more than its users", async ({ expect }) => {
    const key = await limited({});
    for (const [change, pointer] of [
      [{ limits: { images_per_day: 0 } }, "#/limits/images_per_day"],
      [{ limits: { pictures: 1 } }, "#/limits/pictures"],
      [{ users: { eve: { images_per_day: -1 } } }, "#/users/eve/images_per_day"],
    ] as const) {
      const problem = Problem.parse(await (await set(key, "chat:1", change)).json());
      expect(problem).toMatchObject({ code: "invalid_request", errors: [{ pointer }] });
    }
    const users = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`user${i}`, { concurrent: 1 }]));
    expect((await set(key, "chat:1", { users })).status).toBe(200);
    expect((await set(key, "chat:1", { users: { one: { concurrent: 1 } } })).status).toBe(422);
    const reader = await makeKey({ scopes: ["read"] });
    expect((await set(reader, "chat:1", { limits: {} })).status).toBe(403);
  });
});
