import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, it, vi } from "vitest";
import { CreateGeneration, type Generation } from "../../src/contract/generation.ts";
import { hashKey } from "../../src/contract/keys.ts";
import { Problem } from "../../src/contract/problem.ts";
import type { Usage } from "../../src/contract/usage.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import worker from "../../src/worker/index.ts";
import { createGeneration } from "../../src/worker/services/create.ts";
import { currentModels } from "../../src/worker/services/models.ts";
import { keyStore } from "../../src/worker/storage/keys.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, installRunner, makeKey, reaches, read } from "./harness.ts";

let runner: FakeRunner;
let key: string;
let seed = 1000;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

const body = (more: Record<string, unknown> = {}) => ({ prompt: "two purple cats", seed, ...more });

async function ask(request: Record<string, unknown>, headers: Record<string, string> = {}, by = key) {
  const response = await call("POST", "/v1/generations", { key: by, body: request, headers });
  const generation = await response.json<Generation>();
  return { status: response.status, cache: response.headers.get("Cache-Status"), response, generation };
}

async function draw(id: string, by = key): Promise<Generation> {
  await arrival(runner, id);
  await runner.draw(id);
  return reaches(by, id, "succeeded");
}

const bytes = async (generation: Generation) => {
  const response = await call("GET", generation.images[0]?.url ?? "");
  return response.status === 200 ? new TextDecoder().decode(await response.arrayBuffer()) : response.status;
};

describe("the cache", () => {
  it("answers the same seeded request with the same generation, and draws nothing", async ({ expect }) => {
    seed++;
    const first = await ask(body());
    expect([first.status, first.cache, first.generation.cached]).toEqual([
      202,
      "vignette; fwd=uri-miss; stored",
      false,
    ]);
    const drawn = await draw(first.generation.id);
    const again = await ask(body(), { Prefer: "wait=10" });
    expect([again.status, again.cache]).toEqual([200, "vignette; hit"]);
    expect(again.generation).toEqual({ ...drawn, cached: true });
    expect(again.response.headers.get("Location")).toBe(drawn.urls.self);
    expect(runner.requests.filter((line) => line.startsWith("PUT") && line.includes(drawn.id))).toHaveLength(1);
    expect((await read(key, drawn.id)).cached).toBe(false);
  });

  it("gives another user or other metadata a generation of their own with the same bytes", async ({ expect }) => {
    seed++;
    const drawn = await draw((await ask(body())).generation.id);
    const copy = await ask(body({ user: "ada", metadata: { job: "7" } }));
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
      seed++;
      const drawn = await draw((await ask(body())).generation.id);
      const copy = (await ask(body({ user: "ada" }))).generation;
      const [first, last] = order === 0 ? [drawn, copy] : [copy, drawn];
      expect((await call("DELETE", `/v1/generations/${first.id}`, { key })).status).toBe(204);
      expect(await bytes(first)).toBe(404);
      expect(await bytes(last)).toContain(drawn.id);
      // A completion that comes late must not take what others share.
      await runner.callback(runner.get(drawn.id), "completed");
      expect(await bytes(last)).toContain(drawn.id);
      expect((await ask(body({ user: "bob" }))).status).toBe(200);
      const { data } = await (await call("GET", "/v1/generations?user=bob", { key })).json<{ data: Generation[] }>();
      for (const { id } of [last, ...data]) await call("DELETE", `/v1/generations/${id}`, { key });
      expect((await env.IMAGES.list({ prefix: `images/${drawn.id}/` })).objects).toEqual([]);
    }
  });

  it("knows every parameter that changes a pixel, and stays within the account", async ({ expect }) => {
    seed++;
    await draw((await ask(body({ num_inference_steps: 20 }))).generation.id);
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
      { seed: seed + 500_000 },
      { num_images: 2 },
      { output_format: "webp" },
    ])
      expect((await ask(body({ num_inference_steps: 20, ...change }))).status, JSON.stringify(change)).toBe(202);
    const other = await makeKey({ account: "elsewhere" });
    expect((await ask(body({ num_inference_steps: 20 }), {}, other)).cache).toBe("vignette; fwd=uri-miss; stored");
    const sameWithDefaults = body({ num_inference_steps: 20, width: 128, model: "miniature", adapter: "sur" });
    expect((await ask(sameWithDefaults)).status).toBe(200);
  });

  it("is passed by on request, and never used without a seed", async ({ expect }) => {
    seed++;
    const drawn = await draw((await ask(body())).generation.id);
    const anew = await ask(body(), { "Cache-Control": "no-cache" });
    expect([anew.status, anew.cache]).toEqual([202, "vignette; fwd=request"]);
    await draw(anew.generation.id);
    expect((await ask(body())).generation.id).toBe(anew.generation.id);
    expect(drawn.id).not.toBe(anew.generation.id);
    seed++;
    await draw((await ask(body(), { "Cache-Control": "no-store" })).generation.id);
    expect((await ask(body())).status).toBe(202);
    for (let i = 0; i < 2; i++) expect((await ask({ prompt: "a cat" })).cache).toBe("vignette; fwd=bypass");
  });

  it("costs no limit, and is told apart in the usage", async ({ expect }) => {
    seed++;
    const mine = await makeKey({ account: "thrifty", limits: { images_per_day: 1, requests_per_minute: 1 } });
    await draw((await ask(body(), {}, mine)).generation.id, mine);
    expect((await ask(body(), {}, mine)).status).toBe(200);
    expect((await ask(body({ user: "ada" }), {}, mine)).status).toBe(200);
    expect((await ask(body({ seed: 1 }), {}, mine)).status).toBe(429);
    const { data } = await (await call("GET", "/v1/usage", { key: mine })).json<Usage>();
    expect(data).toMatchObject([{ generations: 2, images: 1, cached: 1 }]);
  });
});

describe("identical requests under way", () => {
  it("share one drawing, progress and end, each under its own name", async ({ expect }) => {
    seed++;
    const leader = (await ask(body())).generation;
    await arrival(runner, leader.id);
    const twin = await ask(body());
    expect([twin.status, twin.cache, twin.generation.id]).toEqual([
      202,
      "vignette; fwd=uri-miss; collapsed",
      leader.id,
    ]);
    const ada = await ask(body({ user: "ada" }), { Prefer: "wait=1" });
    expect([ada.status, ada.cache]).toEqual([202, "vignette; fwd=uri-miss; collapsed"]);
    expect(ada.generation.id).not.toBe(leader.id);
    await runner.start(leader.id);
    await runner.progress(leader.id, 10, 25);
    expect(await reaches(key, ada.generation.id, "running")).toMatchObject({ status: "running" });
    await vi.waitUntil(async () => (await read(key, ada.generation.id)).progress?.step === 10, { timeout: 20_000 });
    await runner.succeed(leader.id);
    const done = await reaches(key, ada.generation.id, "succeeded");
    expect(done).toMatchObject({ cached: true, user: "ada", reading: [{ tag: "purple cat", score: 0.9 }] });
    expect(await bytes(done)).toBe(await bytes(await read(key, leader.id)));
    expect(runner.predictions.has(ada.generation.id)).toBe(false);
  });

  it("do not depend on the first one: when it is canceled, the next is drawn", async ({ expect }) => {
    seed++;
    const leader = (await ask(body())).generation;
    await arrival(runner, leader.id);
    await runner.start(leader.id);
    const ada = (await ask(body({ user: "ada" }))).generation;
    const bob = (await ask(body({ user: "bob" }))).generation;
    await vi.waitUntil(async () => {
      const row = await env.DB.prepare("SELECT leader_id FROM generations WHERE id = ?").bind(bob.id).first();
      return row?.leader_id === leader.id;
    });
    await call("POST", `/v1/generations/${leader.id}/cancel`, { key });
    expect((await read(key, ada.id)).status).toBe("queued");
    await draw(ada.id);
    expect(await reaches(key, bob.id, "succeeded")).toMatchObject({ cached: true });
    expect(runner.predictions.has(bob.id)).toBe(false);
  });

  it("draw once though all come together, and are counted once", async ({ expect }) => {
    seed++;
    const mine = await makeKey({ account: "together", limits: { concurrent: 64, images_per_day: 100 } });
    const users = [undefined, undefined, "ada", "bob", undefined, "ada"];
    const answers = await Promise.all(
      users.map((user, n) => ask(body({ user }), { "Idempotency-Key": `together-${n}` }, mine)),
    );
    expect(answers.map(({ status }) => status)).toEqual(users.map(() => 202));
    const rows = await env.DB.prepare(
      "SELECT id, leader_id FROM generations WHERE account_id = 'together' ORDER BY leader_id IS NOT NULL",
    ).all<{ id: string; leader_id: string | null }>();
    const [leader] = rows.results;
    expect(rows.results.filter(({ leader_id }) => leader_id === null)).toHaveLength(1);
    expect(new Set(rows.results.map(({ id }) => id))).toEqual(new Set(answers.map(({ generation }) => generation.id)));
    await draw(leader?.id ?? "", mine);
    for (const { generation } of answers) await reaches(mine, generation.id, "succeeded");
    expect([...runner.predictions.values()].filter(({ input }) => input.seed === seed)).toHaveLength(1);
    const { quotas } = await (await call("GET", "/v1/usage", { key: mine })).json<Usage>();
    expect(quotas.map(({ policy, remaining }) => [policy, remaining])).toEqual([
      ["concurrent", 64],
      ["images-per-day", 99],
    ]);
    // Each has its answer on record, also those that were not first.
    for (const [n, { generation }] of answers.entries()) {
      const again = await vi.waitUntil(async () => {
        const repeat = await ask(body({ user: users[n] }), { "Idempotency-Key": `together-${n}` }, mine);
        return repeat.response.headers.has("Idempotency-Replayed") && repeat;
      });
      expect(again.generation.id).toBe(generation.id);
    }
  });

  it("can be canceled alone", async ({ expect }) => {
    seed++;
    const leader = (await ask(body())).generation;
    const ada = (await ask(body({ user: "ada" }))).generation;
    expect((await (await call("POST", `/v1/generations/${ada.id}/cancel`, { key })).json<Generation>()).status).toBe(
      "canceled",
    );
    expect((await draw(leader.id)).status).toBe("succeeded");
    expect((await read(key, ada.id)).status).toBe("canceled");
  });
});

describe("Idempotency-Key", () => {
  const once = (name: string) => ({ "Idempotency-Key": name });
  const refusal = async (response: Response) => [response.status, Problem.parse(await response.json()).code];
  const send = (request: unknown, headers: Record<string, string>, by = key) =>
    call("POST", "/v1/generations", { key: by, body: request, headers });

  it("repeats the first answer, bare or quoted, and draws once", async ({ expect }) => {
    const first = await send({ prompt: "a cat" }, once("one"));
    const text = await first.text();
    const again = await send({ prompt: "a cat" }, once('"one"'));
    expect([again.status, await again.text()]).toEqual([202, text]);
    expect(again.headers.get("Idempotency-Replayed")).toBe("true");
    expect(again.headers.get("Location")).toBe(JSON.parse(text).urls.self);
    await draw(JSON.parse(text).id);
    expect(await (await send({ prompt: "a cat" }, once("one"))).text()).toBe(text);
  });

  it("belongs to one request of one account", async ({ expect }) => {
    await send({ prompt: "a cat" }, once("two"));
    expect(await refusal(await send({ prompt: "a dog" }, once("two")))).toEqual([422, "idempotency_key_reused"]);
    const other = await makeKey({ account: "others" });
    expect((await send({ prompt: "a dog" }, once("two"), other)).status).toBe(202);
    expect((await send({ prompt: "a cat", num_images: 1 }, once("two"))).status).toBe(202);
  });

  it("draws once when many come together, and gives back what the losers had counted", async ({ expect }) => {
    const mine = await makeKey({ account: "storm", limits: { concurrent: 64, images_per_day: 100 } });
    const answers = await Promise.all(Array.from({ length: 5 }, () => send({ prompt: "a cat" }, once("storm"), mine)));
    const ids = await Promise.all(answers.map(async (answer) => (await answer.json<Generation>()).id));
    expect(new Set(ids).size).toBe(1);
    await vi.waitUntil(async () => {
      const { quotas } = await (await call("GET", "/v1/usage", { key: mine })).json<Usage>();
      return quotas.find(({ policy }) => policy === "images-per-day")?.remaining === 99;
    });
  });

  it("is 409 while the first answer is held back, and then repeats that answer", async ({ expect }) => {
    runner.forget();
    const held = send({ prompt: "a held cat" }, { ...once("held"), Prefer: "wait=30" });
    const { id } = await arrival(runner);
    const early = await send({ prompt: "a held cat" }, once("held"));
    expect(early.headers.get("Retry-After")).toBe("2");
    expect(await refusal(early)).toEqual([409, "idempotency_in_flight"]);
    await runner.draw(id);
    const first = await held;
    const text = await first.text();
    expect(first.status).toBe(201);
    const again = await vi.waitUntil(async () => {
      const response = await send({ prompt: "a held cat" }, once("held"));
      return response.status === 201 && response;
    });
    expect(await again.text()).toBe(text);
  });

  it("tells the present state when the first answer was lost with its isolate", async ({ expect }) => {
    const { id } = await (await send({ prompt: "a lost cat" }, once("lost"))).json<Generation>();
    const age = (seconds: number) =>
      env.DB.prepare("UPDATE idempotency SET response = NULL, status = NULL, created_at = ? WHERE key = 'lost'")
        .bind(Date.now() - seconds * 1000)
        .run();
    // As long as the OpenAI route may hold an answer back.
    await age(290);
    expect(await refusal(await send({ prompt: "a lost cat" }, once("lost")))).toEqual([409, "idempotency_in_flight"]);
    await age(325);
    const answer = await send({ prompt: "a lost cat" }, once("lost"));
    expect([answer.status, (await answer.json<Generation>()).id]).toEqual([202, id]);
  });

  it("is forgotten after a day, forgets what was deleted, and has a form", async ({ expect }) => {
    const { id } = await (await send({ prompt: "an old cat" }, once("old"))).json<Generation>();
    await call("DELETE", `/v1/generations/${id}`, { key });
    expect(await refusal(await send({ prompt: "an old cat" }, once("old")))).toEqual([410, "generation_deleted"]);
    const row = await env.DB.prepare("SELECT response FROM idempotency WHERE key = 'old'").first();
    expect(row?.response).toBeNull();
    await env.DB.prepare("UPDATE idempotency SET created_at = created_at - 86400001 WHERE key = 'old'").run();
    const ctx = { waitUntil() {}, passThroughOnException() {} } as unknown as ExecutionContext;
    await worker.scheduled({} as ScheduledController, env, ctx);
    expect(await env.DB.prepare("SELECT 1 FROM idempotency WHERE key = 'old'").first()).toBeNull();
    expect((await send({ prompt: "an old cat" }, once("old"))).status).toBe(202);
    for (const bad of ["", '""', "x".repeat(256), "käse"])
      expect(await refusal(await send({ prompt: "a cat" }, once(encodeHeader(bad)))), bad).toEqual([
        400,
        "idempotency_key_invalid",
      ]);
  });

  it("keeps nothing of a request that was refused", async ({ expect }) => {
    expect((await send({ prompt: "" }, once("refused"))).status).toBe(422);
    expect((await send({ prompt: "a cat" }, once("refused"))).status).toBe(202);
  });

  it("repeats the answer though the request would be refused today", async ({ expect }) => {
    const mine = await keyStore(env.DB).byHash(await hashKey(key));
    if (!mine) throw new Error("the key is not there");
    const { id } = await (await send({ prompt: "a cat of yesterday" }, once("yesterday"))).json<Generation>();
    // An isolate that knows no models, and finds nobody who tells them.
    const ctx = createExecutionContext();
    const deps = makeDeps(env, ctx);
    deps.config = { ...deps.config };
    deps.runnerRows = { ...deps.runnerRows, load: async () => [] };
    const request = CreateGeneration.parse({ prompt: "a cat of yesterday" });
    const again = await createGeneration(deps, mine, request, { idempotencyKey: "yesterday" });
    expect([again.generation.id, again.cache]).toEqual([id, "replayed"]);
    await expect(createGeneration(deps, mine, request, { idempotencyKey: "today" })).rejects.toMatchObject({
      code: "models_unknown",
    });
    const other = CreateGeneration.parse({ prompt: "another cat" });
    await expect(createGeneration(deps, mine, other, { idempotencyKey: "yesterday" })).rejects.toMatchObject({
      code: "idempotency_key_reused",
    });
    await waitOnExecutionContext(ctx);
  });

  it("repeats a cache hit too", async ({ expect }) => {
    seed++;
    await draw((await ask(body())).generation.id);
    for (const user of [undefined, "ada"]) {
      const headers = once(`hit-${user}`);
      const first = await send(body({ user }), headers);
      const text = await first.text();
      const again = await vi.waitUntil(async () => {
        const response = await send(body({ user }), headers);
        return response.headers.has("Idempotency-Replayed") && response;
      });
      expect([first.status, again.status, await again.text()]).toEqual([200, 200, text]);
    }
  });
});

describe("trips to D1 on the way of an accepted request", () => {
  it("are one or two", async ({ expect }) => {
    const known = await keyStore(env.DB).byHash(await hashKey(key));
    if (!known) throw new Error("the key is not there");
    await call("GET", "/v1/models", { key });
    for (const [request, options, most] of [
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
      expect(deps.counts.d1, JSON.stringify(request)).toBe(most);
      for (const go of late) go();
      await waitOnExecutionContext(ctx);
    }
  });
});

/** Header values are bytes: UTF-8 ones arrive as Latin-1. */
function encodeHeader(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
