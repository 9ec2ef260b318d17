import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, it, vi } from "vitest";
import { makeDeps } from "../../src/worker/deps.ts";
import { check } from "../../src/worker/services/check.ts";
import { arrival, call, draw, drawn, imagine, read } from "./harness.ts";
import { installWorld, limited, post, quotas, refusal, usage, type World } from "./limited.ts";

const DAY_MS = 86_400_000;

let world: World;
beforeEach(() => {
  world = installWorld();
});

describe("pictures a day", () => {
  it("are counted when accepted, given back on failure and cancel, kept on success", async ({ expect }) => {
    const key = await limited({ images_per_day: 4 });
    await drawn(world.runner, key, { num_images: 2 });
    expect(await quotas(key)).toEqual({ "images-per-day": 2 });
    const { id } = await imagine(key, { num_images: 2 });
    expect(await quotas(key)).toEqual({ "images-per-day": 0 });
    const refused = await refusal(await post(key));
    expect(refused).toMatchObject({ code: "quota_exceeded", violated: ["images-per-day"] });
    expect(refused.retryAfter).toBe(Math.ceil((DAY_MS - (Date.now() % DAY_MS)) / 1000));
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    expect(await quotas(key)).toEqual({ "images-per-day": 2 });
    expect((await refusal(await post(key, { num_images: 3 }))).detail).toContain("2 are left today and 3 were asked");
    const failing = await imagine(key, { num_images: 2 });
    await arrival(world.runner, failing.id);
    await world.runner.fail(failing.id, "Out of paint.");
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
    await drawn(world.runner, key, { user: "ada" });
    expect(await refusal(await post(key, { user: "ada", num_images: 2 }))).toMatchObject({ code: "quota_exceeded" });
    await drawn(world.runner, key, { user: "bob" });
    expect(await refusal(await post(key, { num_images: 2 }))).toMatchObject({ violated: ["account-images-per-day"] });
    const hop = vi.spyOn(env.LIMITS, "get");
    for (const [body, violated] of [
      [{ user: "ada", num_images: 3 }, "user-images-per-day"],
      [{ user: "eve", num_images: 2 }, "account-images-per-day"],
      [{ num_images: 4 }, "account-images-per-day"],
    ] as const) {
      const response = await post(key, body);
      expect(response.headers.get("RateLimit-Policy")).toMatch(new RegExp(`^"${violated}";q=\\d;qu="images";w=86400$`));
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
    world.pass(61_000);
    expect((await post(key)).status).toBe(202);
  });

  it("hold per end user and per account, and begin anew with the day", async ({ expect }) => {
    const key = await limited({}, { images_per_day: 3, images_per_day_per_user: 2 });
    await imagine(key, { user: "ada", num_images: 2 });
    expect(await refusal(await post(key, { user: "ada" }))).toMatchObject({ violated: ["user-images-per-day"] });
    expect(await quotas(key, "ada")).toEqual({ "user-images-per-day": 0, "account-images-per-day": 1 });
    await imagine(key, { user: "bob" });
    expect(await refusal(await post(key))).toMatchObject({ violated: ["account-images-per-day"] });
    world.pass(DAY_MS);
    expect((await post(key, { user: "ada" })).status).toBe(202);
  });
});

describe("who waits for another's pictures and has to be drawn after all", () => {
  /** One under way by nobody in particular, and who joined it, each a millisecond later, as their ids tell. */
  async function joined(key: string, seed: number, users: string[]) {
    const leader = await imagine(key, { seed });
    await arrival(world.runner, leader.id);
    const ids: string[] = [];
    for (const user of users) {
      world.pass(1);
      ids.push((await imagine(key, { seed, user })).id);
    }
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
    await arrival(world.runner, ada);
    await cancel(key, ada);
    expect(await quotas(key)).toEqual({ "images-per-day": 4 });
    await draw(world.runner, key, bob);
    expect(await quotas(key)).toEqual({ "images-per-day": 4 });
  });

  it("ends where the day's pictures are used up, and the next one goes on", async ({ expect }) => {
    const key = await limited({}, { images_per_day_per_user: 1 });
    await drawn(world.runner, key, { user: "ada" });
    const { leader, ids } = await joined(key, 91_002, ["ada", "bob"]);
    const [ada = "", bob = ""] = ids;
    await cancel(key, leader);
    expect(await read(key, ada)).toMatchObject({
      status: "failed",
      error: { code: "quota_exceeded", message: expect.stringContaining("1 pictures a day") },
    });
    await arrival(world.runner, bob);
    expect(world.runner.predictions.has(ada)).toBe(false);
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
    await arrival(world.runner, ada);
    expect((await post(key, { user: "ada" })).status).toBe(429);
  });
});

describe("usage", () => {
  it("counts what succeeded, once, and outlives it", async ({ expect }) => {
    const key = await limited({});
    const { id } = await drawn(world.runner, key, { num_images: 2 });
    await world.runner.callback(world.runner.get(id), "completed");
    const canceled = await imagine(key);
    await call("POST", `/v1/generations/${canceled.id}/cancel`, { key });
    await call("DELETE", `/v1/generations/${id}`, { key });
    const { data } = await usage(key);
    expect(data).toEqual([
      { date: new Date(Date.now()).toISOString().slice(0, 10), generations: 1, images: 2, cached: 0 },
    ]);
    expect((await call("GET", "/v1/usage?days=0", { key })).status).toBe(422);
    const other = await limited({});
    expect(await usage(other)).toEqual({ data: [], quotas: [] });
  });
});
