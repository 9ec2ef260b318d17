import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, it } from "vitest";
import { CreateGeneration, type Generation } from "../../src/contract/generation.ts";
import type { Usage } from "../../src/contract/usage.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import { createGeneration } from "../../src/worker/services/create.ts";
import { currentModels } from "../../src/worker/services/models.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, draw, installRunner, knownKey, makeKey, read } from "./harness.ts";
import { ask, bytes, unseen } from "./seeded.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

describe("the cache", () => {
  it("answers the same seeded request with the same generation, and draws nothing", async ({ expect }) => {
    const body = unseen();
    const first = await ask(key, body());
    expect([first.status, first.cache, first.generation.cached]).toEqual([
      202,
      "vignette; fwd=uri-miss; stored",
      false,
    ]);
    const drawn = await draw(runner, key, first.generation.id);
    const again = await ask(key, body(), { Prefer: "wait=10" });
    expect([again.status, again.cache]).toEqual([200, "vignette; hit"]);
    expect(again.generation).toEqual({ ...drawn, cached: true });
    expect(again.response.headers.get("Location")).toBe(drawn.urls.self);
    expect(runner.requests.filter((line) => line.startsWith("PUT") && line.includes(drawn.id))).toHaveLength(1);
    expect((await read(key, drawn.id)).cached).toBe(false);
  });

  it("gives another user or other metadata a generation of their own with the same bytes", async ({ expect }) => {
    const body = unseen();
    const drawn = await draw(runner, key, (await ask(key, body())).generation.id);
    const copy = await ask(key, body({ user: "ada", metadata: { job: "7" } }));
    expect([copy.status, copy.cache]).toEqual([200, "vignette; hit"]);
    expect(copy.generation).toMatchObject({
      status: "succeeded",
      cached: true,
      user: "ada",
      metadata: { job: "7" },
      reading: drawn.reading,
      notice: drawn.notice,
    });
    expect(copy.generation.id).not.toBe(drawn.id);
    expect(copy.generation.images[0]?.url).not.toBe(drawn.images[0]?.url);
    expect(await read(key, copy.generation.id)).toEqual(copy.generation);
    expect(await bytes(copy.generation)).toBe(await bytes(drawn));
  });

  it("deletes the bytes with their last reference, whichever goes first", async ({ expect }) => {
    for (const order of [0, 1]) {
      const body = unseen();
      const drawn = await draw(runner, key, (await ask(key, body())).generation.id);
      const copy = (await ask(key, body({ user: "ada" }))).generation;
      const [first, last] = order === 0 ? [drawn, copy] : [copy, drawn];
      expect((await call("DELETE", `/v1/generations/${first.id}`, { key })).status).toBe(204);
      expect(await bytes(first)).toBe(404);
      expect(await bytes(last)).toContain(drawn.id);
      // A completion that comes late must not take what others share.
      await runner.callback(runner.get(drawn.id), "completed");
      expect(await bytes(last)).toContain(drawn.id);
      expect((await ask(key, body({ user: "bob" }))).status).toBe(200);
      const { data } = await (await call("GET", "/v1/generations?user=bob", { key })).json<{ data: Generation[] }>();
      for (const { id } of [last, ...data]) await call("DELETE", `/v1/generations/${id}`, { key });
      expect((await env.IMAGES.list({ prefix: `images/${drawn.id}/` })).objects).toEqual([]);
    }
  });

  it("knows every parameter that changes a pixel, and stays within the account", async ({ expect }) => {
    const body = unseen();
    await draw(runner, key, (await ask(key, body({ num_inference_steps: 20 }))).generation.id);
    for (const change of [
      { prompt: "two purple cat" },
      { negative_prompt: "dogs" },
      { adapter: null },
      { adapter_scale: 0.5 },
      { width: 64 },
      { height: 64 },
      { num_inference_steps: 21 },
      { guidance_scale: 5 },
      { scheduler: "EulerDiscreteScheduler" },
      { seed: body().seed + 500_000 },
      { num_images: 2 },
      { output_format: "webp" },
    ])
      expect((await ask(key, body({ num_inference_steps: 20, ...change }))).status, JSON.stringify(change)).toBe(202);
    const other = await makeKey({ account: "elsewhere" });
    expect((await ask(other, body({ num_inference_steps: 20 }))).cache).toBe("vignette; fwd=uri-miss; stored");
    const sameWithDefaults = body({ num_inference_steps: 20, width: 128, model: "miniature", adapter: "sur" });
    expect((await ask(key, sameWithDefaults)).status).toBe(200);
  });

  it("is passed by on request, and never used without a seed", async ({ expect }) => {
    const body = unseen();
    const drawn = await draw(runner, key, (await ask(key, body())).generation.id);
    const anew = await ask(key, body(), { "Cache-Control": "no-cache" });
    expect([anew.status, anew.cache]).toEqual([202, "vignette; fwd=request"]);
    await draw(runner, key, anew.generation.id);
    expect((await ask(key, body())).generation.id).toBe(anew.generation.id);
    expect(drawn.id).not.toBe(anew.generation.id);
    const other = unseen();
    await draw(runner, key, (await ask(key, other(), { "Cache-Control": "no-store" })).generation.id);
    expect((await ask(key, other())).status).toBe(202);
    for (let i = 0; i < 2; i++) expect((await ask(key, { prompt: "a cat" })).cache).toBe("vignette; fwd=bypass");
  });

  it("costs no limit, and is told apart in the usage", async ({ expect }) => {
    const body = unseen();
    const mine = await makeKey({ account: "thrifty", limits: { images_per_day: 1, requests_per_minute: 1 } });
    await draw(runner, mine, (await ask(mine, body())).generation.id);
    expect((await ask(mine, body())).status).toBe(200);
    expect((await ask(mine, body({ user: "ada" }))).status).toBe(200);
    expect((await ask(mine, body({ seed: 1 }))).status).toBe(429);
    const { data } = await (await call("GET", "/v1/usage", { key: mine })).json<Usage>();
    expect(data).toMatchObject([{ generations: 2, images: 1, cached: 1 }]);
  });
});

describe("trips to D1 on the way of an accepted request", () => {
  it("are one or two", async ({ expect }) => {
    const known = await knownKey(key);
    await call("GET", "/v1/models", { key });
    for (const [request, options, trips] of [
      [{ prompt: "a cat" }, {}, 1],
      [{ prompt: "a cat", seed: 77_001 }, {}, 2],
      [{ prompt: "a cat", seed: 77_002 }, { idempotencyKey: "counted" }, 2],
    ] as const) {
      const ctx = createExecutionContext();
      const deps = makeDeps(env, ctx);
      await currentModels(deps);
      deps.counts.d1 = 0;
      // Work after the answer is not on its way.
      const late: (() => void)[] = [];
      deps.background = (work) => void late.push(() => ctx.waitUntil(work));
      const [backend] = deps.runners.all;
      if (!backend) throw new Error("there is no runner");
      const before = backend.create;
      backend.create = (...args) => new Promise((resolve) => late.push(() => resolve(before(...args))));
      // Clients are shared by every request.
      late.push(() => {
        backend.create = before;
      });
      await createGeneration(deps, known, CreateGeneration.parse(request), options);
      expect(deps.counts.d1, JSON.stringify(request)).toBe(trips);
      for (const go of late) go();
      await waitOnExecutionContext(ctx);
    }
  });
});
