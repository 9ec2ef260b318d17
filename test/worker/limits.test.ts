import { env } from "cloudflare:workers";
import { beforeEach, describe, it, vi } from "vitest";
import { Usage } from "../../src/contract/usage.ts";
import { arrival, call, drawn, imagine } from "./harness.ts";
import { installWorld, limited, post, quotas, refusal, type World } from "./limited.ts";

let world: World;
beforeEach(() => {
  world = installWorld();
});

describe("requests per minute", () => {
  it("are announced, refused when used up, and come back as time passes", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 2 });
    const first = await post(key);
    expect(first.headers.get("RateLimit-Policy")).toBe('"requests";q=2;w=60');
    expect(first.headers.get("RateLimit")).toBe('"requests";r=1;t=30');
    expect((await post(key)).status).toBe(202);
    const third = await post(key);
    expect(third.headers.get("RateLimit")).toBe('"requests";r=0;t=30');
    expect(await refusal(third)).toMatchObject({
      code: "rate_limited",
      status: 429,
      violated: ["requests"],
      retryAfter: 30,
    });
    world.pass(30_000);
    expect((await post(key)).status).toBe(202);
  });

  it("cost a blocked key no hop to the limits object before the reset", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 1 });
    expect((await post(key)).status).toBe(202);
    expect((await post(key)).status).toBe(429);
    const hop = vi.spyOn(env.LIMITS, "get");
    for (const other of [{}, { user: "ada" }, { num_images: 2 }])
      expect((await refusal(await post(key, other))).code).toBe("rate_limited");
    expect(hop).not.toHaveBeenCalled();
  });

  it("cost a flood no hop either: the coarse limit refuses it first", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 5 });
    const coarse = vi.spyOn(env.COARSE_LIMIT, "limit").mockResolvedValue({ success: false });
    const hop = vi.spyOn(env.LIMITS, "get");
    expect(await refusal(await post(key))).toMatchObject({
      code: "rate_limited",
      status: 429,
      violated: ["burst"],
      retryAfter: 10,
    });
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
    await arrival(world.runner, two.id);
    await world.runner.fail(two.id, "Out of paint.");
    await drawn(world.runner, key);
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
    world.pass(61_000);
    expect((await post(key)).status).toBe(202);
    expect((await quotas(key))["images-per-day"]).toBe(8);
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
    expect(await quotas(key)).toEqual({ concurrent: 1 });
  });

  it("the usage tells the days alone", async ({ expect }) => {
    const key = await limited({ images_per_day: 5 });
    await drawn(world.runner, key);
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
