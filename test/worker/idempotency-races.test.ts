import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, it } from "vitest";
import { CreateGeneration, type Generation } from "../../src/contract/generation.ts";
import { type Deps, makeDeps } from "../../src/worker/deps.ts";
import { createGeneration } from "../../src/worker/services/create.ts";
import { currentModels } from "../../src/worker/services/models.ts";
import type { KnownKey } from "../../src/worker/storage/keys.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, drawn, imagine, installRunner, knownKey, makeKey } from "./harness.ts";

let runner: FakeRunner;
let key: string;
let known: KnownKey;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
  known = await knownKey(key);
});

const asked = (prompt: string, seed = 1) => CreateGeneration.parse({ prompt, seed });

const cached = (prompt: string): Promise<Generation> => drawn(runner, key, { prompt, seed: 1 });

/** A fresh isolate's dependencies, whose first look is over only once `count` of them have looked. */
function meeting(count: number): () => Deps {
  let missing = count;
  const { promise, resolve } = Promise.withResolvers<void>();
  return () => {
    const deps = makeDeps(env, { waitUntil() {} });
    let first = true;
    const lookUp: Deps["reuse"]["lookUp"] = async (...args) => {
      const seen = await deps.reuse.lookUp(...args);
      if (!first) return seen;
      first = false;
      if (--missing === 0) resolve();
      await promise;
      return seen;
    };
    return { ...deps, config: { ...deps.config }, reuse: { ...deps.reuse, lookUp } };
  };
}

/** What two requests get that come at the same moment with the same idempotency key. */
async function atOnce(idempotencyKey: string, ...prompts: string[]) {
  const isolate = meeting(prompts.length);
  const outcomes = await Promise.allSettled(
    prompts.map((prompt) => createGeneration(isolate(), known, asked(prompt), { idempotencyKey })),
  );
  return outcomes.map((outcome) =>
    outcome.status === "fulfilled" ? outcome.value : (outcome.reason as { code: string }).code,
  );
}

describe("two requests at the same moment with one Idempotency-Key", () => {
  it("that are different get one answer, though the cache has both pictures", async ({ expect }) => {
    await cached("two purple cats");
    await cached("three purple cats");
    const answers = await atOnce("one-of-two", "two purple cats", "three purple cats");
    expect(answers).toHaveLength(2);
    expect(answers.filter((answer) => answer === "idempotency_key_reused")).toHaveLength(1);
    expect(answers.filter((answer) => typeof answer === "object")).toMatchObject([{ status: 200, cache: "hit" }]);
  });

  it("that are the same get the same answer, one of them as a repeat", async ({ expect }) => {
    const { id } = await cached("an owl");
    const answers = await atOnce("twice-the-same", "an owl", "an owl");
    expect(answers).toMatchObject([{ generation: { id } }, { generation: { id } }]);
    const caches = answers.map((answer) => (typeof answer === "object" ? answer.cache : answer));
    expect(caches.sort()).toEqual(["hit", "replayed"]);
  });

  it("that are different get one answer, though both pictures are under way", async ({ expect }) => {
    for (const prompt of ["a fox", "a bear"]) await arrival(runner, (await imagine(key, { prompt, seed: 1 })).id);
    const answers = await atOnce("under-way", "a fox", "a bear");
    expect(answers.filter((answer) => answer === "idempotency_key_reused")).toHaveLength(1);
  });
});

describe("a cached answer to a request with an Idempotency-Key", () => {
  it("is on record before it is given, for one trip to D1 more than without", async ({ expect }) => {
    const { id } = await cached("a lion");
    const ctx = createExecutionContext();
    const deps = makeDeps(env, ctx);
    deps.config = { ...deps.config };
    await currentModels(deps);
    for (const [idempotencyKey, trips] of [
      [null, 1],
      ["counted", 2],
    ] as const) {
      deps.counts.d1 = 0;
      expect((await createGeneration(deps, known, asked("a lion"), { idempotencyKey })).generation.id).toBe(id);
      expect([idempotencyKey, deps.counts.d1]).toEqual([idempotencyKey, trips]);
    }
    const row = await env.DB.prepare("SELECT generation_id, status FROM idempotency WHERE key = 'counted'").first();
    expect(row).toEqual({ generation_id: id, status: 200 });
    await waitOnExecutionContext(ctx);
  });

  it("is not given for a picture that was deleted since the look", async ({ expect }) => {
    const { id } = await cached("a duck");
    const ctx = createExecutionContext();
    const deps = makeDeps(env, ctx);
    const { lookUp } = deps.reuse;
    deps.reuse = {
      ...deps.reuse,
      async lookUp(...args) {
        const seen = await lookUp(...args);
        if (seen.same?.row.id === id) await env.DB.prepare("DELETE FROM generations WHERE id = ?").bind(id).run();
        return seen;
      },
    };
    const accepted = await createGeneration(deps, known, asked("a duck"), { idempotencyKey: "deleted-meanwhile" });
    expect([accepted.status, accepted.generation.id === id]).toEqual([202, false]);
    await runner.draw((await arrival(runner, accepted.generation.id)).id);
    await waitOnExecutionContext(ctx);
  });

  it("stays the key's until the cron has forgotten it", async ({ expect }) => {
    const { id } = await cached("a koala");
    const ctx = createExecutionContext();
    const deps = makeDeps(env, ctx);
    const options = { idempotencyKey: "a-day-old" };
    await createGeneration(deps, known, asked("a koala"), options);
    await env.DB.prepare("UPDATE idempotency SET created_at = created_at - 86400001 WHERE key = 'a-day-old'").run();
    expect(await createGeneration(deps, known, asked("a koala"), options)).toMatchObject({
      generation: { id },
      cache: "replayed",
    });
    await deps.idempotency.expire(deps.now());
    expect(await createGeneration(deps, known, asked("a koala"), options)).toMatchObject({ cache: "hit" });
    await waitOnExecutionContext(ctx);
  });
});
