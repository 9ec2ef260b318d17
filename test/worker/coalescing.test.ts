import { env } from "cloudflare:workers";
import { beforeAll, describe, it } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import type { Usage } from "../../src/contract/usage.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, draw, installRunner, makeKey, reaches, read, until } from "./harness.ts";
import { ask, bytes, unseen } from "./seeded.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

describe("identical requests under way", () => {
  it("share one drawing, progress and end, each under its own name", async ({ expect }) => {
    const body = unseen();
    const leader = (await ask(key, body())).generation;
    await arrival(runner, leader.id);
    const twin = await ask(key, body());
    expect([twin.status, twin.cache, twin.generation.id]).toEqual([
      202,
      "vignette; fwd=uri-miss; collapsed",
      leader.id,
    ]);
    const ada = await ask(key, body({ user: "ada" }), { Prefer: "wait=1" });
    expect([ada.status, ada.cache]).toEqual([202, "vignette; fwd=uri-miss; collapsed"]);
    expect(ada.generation.id).not.toBe(leader.id);
    await runner.start(leader.id);
    await runner.progress(leader.id, 10, 25);
    expect(await reaches(key, ada.generation.id, "running")).toMatchObject({ status: "running" });
    await until(async () => (await read(key, ada.generation.id)).progress?.step === 10);
    await runner.succeed(leader.id);
    const done = await reaches(key, ada.generation.id, "succeeded");
    expect(done).toMatchObject({ cached: true, user: "ada", reading: [{ tag: "purple cat", score: 0.9 }] });
    expect(await bytes(done)).toBe(await bytes(await read(key, leader.id)));
    expect(runner.predictions.has(ada.generation.id)).toBe(false);
  });

  it("do not depend on the first one: when it is canceled, the next is drawn", async ({ expect }) => {
    const body = unseen();
    const leader = (await ask(key, body())).generation;
    await arrival(runner, leader.id);
    await runner.start(leader.id);
    const ada = (await ask(key, body({ user: "ada" }))).generation;
    const bob = (await ask(key, body({ user: "bob" }))).generation;
    await until(async () => {
      const row = await env.DB.prepare("SELECT leader_id FROM generations WHERE id = ?").bind(bob.id).first();
      return row?.leader_id === leader.id;
    });
    await call("POST", `/v1/generations/${leader.id}/cancel`, { key });
    expect((await read(key, ada.id)).status).toBe("queued");
    await draw(runner, key, ada.id);
    expect(await reaches(key, bob.id, "succeeded")).toMatchObject({ cached: true });
    expect(runner.predictions.has(bob.id)).toBe(false);
  });

  it("draw once though all come together, and are counted once", async ({ expect }) => {
    const body = unseen();
    const mine = await makeKey({ account: "together", limits: { concurrent: 64, images_per_day: 100 } });
    const users = [undefined, undefined, "ada", "bob", undefined, "ada"];
    const answers = await Promise.all(
      users.map((user, n) => ask(mine, body({ user }), { "Idempotency-Key": `together-${n}` })),
    );
    expect(answers.map(({ status }) => status)).toEqual(users.map(() => 202));
    const rows = await env.DB.prepare(
      "SELECT id, leader_id FROM generations WHERE account_id = 'together' ORDER BY leader_id IS NOT NULL",
    ).all<{ id: string; leader_id: string | null }>();
    const [leader] = rows.results;
    expect(rows.results.filter(({ leader_id }) => leader_id === null)).toHaveLength(1);
    expect(new Set(rows.results.map(({ id }) => id))).toEqual(new Set(answers.map(({ generation }) => generation.id)));
    await draw(runner, mine, leader?.id ?? "");
    for (const { generation } of answers) await reaches(mine, generation.id, "succeeded");
    expect([...runner.predictions.values()].filter(({ input }) => input.seed === body().seed)).toHaveLength(1);
    const { quotas } = await (await call("GET", "/v1/usage", { key: mine })).json<Usage>();
    expect(quotas.map(({ policy, remaining }) => [policy, remaining])).toEqual([
      ["concurrent", 64],
      ["images-per-day", 99],
    ]);
    // Each has its answer on record, also those that were not first.
    for (const [n, { generation }] of answers.entries()) {
      const again = await until(async () => {
        const repeat = await ask(mine, body({ user: users[n] }), { "Idempotency-Key": `together-${n}` });
        return repeat.response.headers.has("Idempotency-Replayed") && repeat;
      });
      expect(again.generation.id).toBe(generation.id);
    }
  });

  it("can be canceled alone", async ({ expect }) => {
    const body = unseen();
    const leader = (await ask(key, body())).generation;
    const ada = (await ask(key, body({ user: "ada" }))).generation;
    expect((await (await call("POST", `/v1/generations/${ada.id}/cancel`, { key })).json<Generation>()).status).toBe(
      "canceled",
    );
    expect((await draw(runner, key, leader.id)).status).toBe("succeeded");
    expect((await read(key, ada.id)).status).toBe("canceled");
  });
});
