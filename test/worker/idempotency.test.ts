import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, it } from "vitest";
import { CreateGeneration, type Generation } from "../../src/contract/generation.ts";
import { Problem } from "../../src/contract/problem.ts";
import type { Usage } from "../../src/contract/usage.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import worker from "../../src/worker/index.ts";
import { createGeneration } from "../../src/worker/services/create.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, draw, installRunner, knownKey, makeKey, until } from "./harness.ts";
import { ask, unseen } from "./seeded.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
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
    await draw(runner, key, JSON.parse(text).id);
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
    await until(async () => {
      const { quotas } = await (await call("GET", "/v1/usage", { key: mine })).json<Usage>();
      return quotas.find(({ policy }) => policy === "images-per-day")?.remaining === 99;
    });
  });

  it("is 409 while the first answer is held back, and then repeats that answer", async ({ expect }) => {
    const held = send({ prompt: "a held cat" }, { ...once("held"), Prefer: "wait=30" });
    const { id } = await until(() =>
      [...runner.predictions.values()].find(({ input }) => input.prompt === "a held cat"),
    );
    const early = await send({ prompt: "a held cat" }, once("held"));
    expect(early.headers.get("Retry-After")).toBe("2");
    expect(await refusal(early)).toEqual([409, "idempotency_in_flight"]);
    await runner.draw(id);
    const first = await held;
    const text = await first.text();
    expect(first.status).toBe(201);
    const again = await until(async () => {
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
    const mine = await knownKey(key);
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
    const body = unseen();
    await draw(runner, key, (await ask(key, body())).generation.id);
    for (const user of [undefined, "ada"]) {
      const headers = once(`hit-${user}`);
      const first = await send(body({ user }), headers);
      const text = await first.text();
      const again = await until(async () => {
        const response = await send(body({ user }), headers);
        return response.headers.has("Idempotency-Replayed") && response;
      });
      expect([first.status, again.status, await again.text()]).toEqual([200, 200, text]);
    }
  });
});

/** Header values are bytes: UTF-8 ones arrive as Latin-1. */
function encodeHeader(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
