import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, it, vi } from "vitest";
import type { ModelList } from "../../../src/contract/models.ts";
import type { FakeRunner } from "../../fakes/replicate.ts";
import { call, deliver, imagine, makeKey, reaches, released } from "../harness.ts";
import { dispatched, drawing, installWorld, rowOf, type World } from "./world.ts";

let world: World;
let key: string;
beforeAll(async () => {
  world = installWorld();
  key = await makeKey();
});
beforeEach(async () => {
  await env.DB.prepare("UPDATE runners SET failures = 0, open_until = NULL, probes = 0, probe_until = NULL").run();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6_000 });
});
afterEach(() => {
  for (const runner of Object.values(world)) {
    runner.mood = "well";
    runner.forget();
  }
  world.cog.slots = 1;
});

const asked = ({ requests }: FakeRunner) => requests.filter((line) => line.startsWith("PUT ")).length;
const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);

/** One generation of the miniature that finds no runner. */
async function refused(): Promise<string> {
  const { id } = await imagine(key);
  await released(id);
  return id;
}

describe("models of several runners", () => {
  it("stand in one list with one default", async ({ expect }) => {
    const { data } = await (await call("GET", "/v1/models", { key })).json<ModelList>();
    expect(data.map(({ id }) => id)).toEqual([
      "miniature",
      "painter",
      "deployed-painter",
      "official-painter",
      "sketch",
    ]);
    expect(data.filter((model) => model.default).map(({ id }) => id)).toEqual(["miniature"]);
  });

  it("go to the runners that have them", async ({ expect }) => {
    const before = asked(world.own);
    const { id } = await imagine(key, { model: "sketch" });
    await drawing(world.cog, id);
    expect(asked(world.own)).toBe(before);
  });
});

describe("a runner that stands in", () => {
  it("draws what the preferred one has no room for", async ({ expect }) => {
    world.own.mood = "busy";
    const { id } = await imagine(key);
    await drawing(world.cog, id);
    await dispatched(id);
    expect((await rowOf(id))?.runner).toBe("cog");
    await world.cog.draw(id);
    await reaches(key, id, "succeeded");
    // Busy is not ill.
    expect(await env.DB.prepare("SELECT failures FROM runners WHERE name = 'default'").first("failures")).toBe(0);
  });

  it("is not asked while the preferred one is well", async ({ expect }) => {
    const before = asked(world.cog);
    const { id } = await imagine(key);
    await drawing(world.own, id);
    expect(asked(world.cog)).toBe(before);
  });
});

describe("an open circuit", () => {
  it("is told from other isolates through the database", async ({ expect }) => {
    world.cog.slots = 0;
    await env.DB.prepare("UPDATE runners SET failures = 9, open_until = ? WHERE name = 'default'")
      .bind(Date.now() + 20_000)
      .run();
    const before = asked(world.own);
    const id = await refused();
    expect(asked(world.own)).toBe(before);
    pass(21);
    await deliver({ id });
    expect(world.own.predictions.has(id)).toBe(true);
  });

  it("sends to the one that stands in while it is open", async () => {
    await env.DB.prepare("UPDATE runners SET failures = 9, open_until = ? WHERE name = 'default'")
      .bind(Date.now() + 20_000)
      .run();
    const { id } = await imagine(key);
    await drawing(world.cog, id);
  });
});

describe("a runner that left the configuration", () => {
  it("has lost what it was drawing", async ({ expect }) => {
    const { id } = await imagine(key);
    await drawing(world.own, id);
    await dispatched(id);
    await env.DB.prepare("UPDATE generations SET runner = 'gone' WHERE id = ?").bind(id).run();
    const { check } = await import("../../../src/worker/services/check.ts");
    const { makeDeps } = await import("../../../src/worker/deps.ts");
    await check(makeDeps(env, { waitUntil() {} }), id);
    expect(await rowOf(id)).toMatchObject({ status: "queued", runner: null });
  });
});
