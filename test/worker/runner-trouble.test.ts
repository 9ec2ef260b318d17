import {
  createExecutionContext,
  createScheduledController,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import { CreateGeneration } from "../../src/contract/generation.ts";
import { hashKey } from "../../src/contract/keys.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import worker from "../../src/worker/index.ts";
import type { Backend } from "../../src/worker/runner/backend.ts";
import { createGeneration } from "../../src/worker/services/create.ts";
import { keyStore } from "../../src/worker/storage/keys.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, deliver, imagine, installRunner, makeKey, reaches, read, released } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
  await imagine(key);
});
afterEach(() => {
  vi.useRealTimers();
  runner.mood = "well";
});

const alarm = (id: string) => runDurableObjectAlarm(env.GENERATION.get(env.GENERATION.idFromName(id)));
const later = (seconds: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });

/** A generation that the runner refused once and that waits since. */
async function waiting(mood: FakeRunner["mood"]): Promise<string> {
  runner.mood = mood;
  const { id } = await imagine(key);
  await released(id);
  return id;
}

async function sweep(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController(), env, ctx);
  await waitOnExecutionContext(ctx);
}

describe("a runner without room", () => {
  it("is asked once and again later, never at once", async ({ expect }) => {
    const id = await waiting("busy");
    const asked = () => runner.requests.filter((line) => line === `PUT /v1/predictions/${id}`).length;
    expect(asked()).toBe(1);
    const { acked, delaySeconds } = await deliver({ id });
    expect(asked()).toBe(2);
    expect(acked).toBe(false);
    // The runner's own Retry-After of 2 s, and at least one of jitter.
    expect(delaySeconds).toBeGreaterThanOrEqual(3);
    expect(await read(key, id)).toMatchObject({ status: "queued", progress: { step: 0, eta_seconds: null } });
  });

  it.for(["busy", "down", "broken"] as const)(
    "that is %s gets the picture when it is well again",
    async (mood, { expect }) => {
      const id = await waiting(mood);
      expect((await read(key, id)).status).toBe("queued");
      runner.mood = "well";
      expect(await deliver({ id })).toEqual({ acked: true, delaySeconds: null });
      await runner.draw(id);
      expect((await read(key, id)).status).toBe("succeeded");
    },
  );

  it("is kept full in the order of the line, without anybody asking again", async ({ expect }) => {
    const drawing = await imagine(key);
    await arrival(runner, drawing.id);
    const first = await waiting("busy");
    const second = await waiting("busy");
    const third = await waiting("busy");
    runner.mood = "well";
    await runner.draw(drawing.id);
    // Two for the place that came free: a runner that has emptied fills up again.
    await Promise.all([arrival(runner, first), arrival(runner, second)]);
    expect(runner.predictions.has(third)).toBe(false);
    runner.mood = "busy";
    await runner.fail(second, "Out of paint.");
    await vi.waitUntil(() => runner.requests.at(-1) === `PUT /v1/predictions/${third}`, { timeout: 30_000 });
    await released(third);
    runner.mood = "well";
    await call("POST", `/v1/generations/${first}/cancel`, { key });
    await arrival(runner, third);
    await runner.draw(third);
    expect((await read(key, third)).status).toBe("succeeded");
  });

  it("is not asked for each of many that wait, when one was just refused", async ({ expect }) => {
    const id = await waiting("busy");
    const other = await waiting("busy");
    const before = runner.requests.length;
    expect(await deliver({ id: other }, { attempts: 2 })).toMatchObject({ acked: false });
    expect(runner.requests.length).toBe(before);
    later(3);
    await deliver({ id: other }, { attempts: 3 });
    expect(runner.requests.length).toBe(before + 1);
    runner.mood = "well";
    later(6);
    await deliver({ id }, { attempts: 4 });
    // It came back: the line is handed over at once.
    await arrival(runner, other);
  });

  it("is filled up though one of its answers breaks off", async ({ expect }) => {
    const id = await waiting("busy");
    const other = await waiting("busy");
    runner.mood = "well";
    later(3);
    const backend = makeDeps(env, { waitUntil() {} }).runners.all[0] as Backend;
    const create = backend.create;
    const broken = vi
      .spyOn(backend, "create")
      .mockImplementationOnce(create)
      .mockResolvedValueOnce({ kind: "unavailable", retryAfter: null, detail: "It broke off.", uncertain: false });
    await deliver({ id });
    broken.mockRestore();
    expect(runner.predictions.has(other)).toBe(true);
  });

  it("is given what waits before what is new", async ({ expect }) => {
    const first = await waiting("busy");
    later(2);
    runner.mood = "well";
    const second = await imagine(key);
    await released(second.id);
    expect(runner.predictions.has(second.id)).toBe(false);
    expect((await read(key, second.id)).progress?.queue_position).toBeGreaterThanOrEqual(1);
    await deliver({ id: first });
    await deliver({ id: second.id });
    expect(runner.predictions.has(first) && runner.predictions.has(second.id)).toBe(true);
  });

  it("makes it fail with a sentence when its time is over", async ({ expect }) => {
    const id = await waiting("down");
    later(601);
    await deliver({ id });
    expect(await read(key, id)).toMatchObject({
      status: "failed",
      error: {
        code: "queue_timeout",
        message: "No runner had room for this picture within 10 min. Send it again later.",
      },
    });
  });

  it("loses nothing when messages are used up", async ({ expect }) => {
    const id = await waiting("down");
    expect((await deliver({ id }, { queue: "generations-dead", attempts: 101 })).acked).toBe(true);
    runner.mood = "well";
    // The new message rests; the alarm would not wait for it either.
    await alarm(id);
    expect(runner.predictions.has(id)).toBe(true);
  });

  it("is not bothered for messages that mean nothing", async ({ expect }) => {
    const before = runner.requests.length;
    for (const body of [null, "text", {}, { id: 5 }, { id: "gen_00000000000000000000000000" }])
      expect((await deliver(body)).acked).toBe(true);
    expect(runner.requests.length).toBe(before);
  });
});

describe("a proxy without the runner behind it", () => {
  it("says 404, and the picture waits until the runner is back", async ({ expect }) => {
    const network = vi.mocked(globalThis.fetch);
    network.mockImplementation(async (input, init) =>
      new Request(input, init).method === "PUT"
        ? new Response("<h1>Not found</h1>", { status: 404 })
        : runner.fetch(input, init),
    );
    const { id } = await imagine(key);
    await released(id);
    network.mockImplementation(runner.fetch);
    expect((await read(key, id)).status).toBe("queued");
    expect(await deliver({ id })).toEqual({ acked: true, delaySeconds: null });
    await runner.draw(id);
    expect((await read(key, id)).status).toBe("succeeded");
  });
});

describe("an isolate that dies with its answer", () => {
  it("leaves a message that finds what it had accepted", async ({ expect }) => {
    const deps = makeDeps(env, { waitUntil() {} });
    const net = vi.spyOn(deps, "spreadNet");
    // What would have gone on after the answer never happens.
    vi.spyOn(deps.runners.all[0] as Backend, "create").mockImplementationOnce(() => new Promise(() => {}));
    const known = await keyStore(env.DB).byHash(await hashKey(key));
    if (!known) throw new Error("the key is not there");
    const request = CreateGeneration.parse({ prompt: "a cat that must not be forgotten" });
    const { id } = (await createGeneration(deps, known, request)).generation;
    expect(net).toHaveBeenCalledWith(id, deps.config.HANDOVER_SECONDS);
    expect(runner.predictions.has(id)).toBe(false);
    later(11);
    expect(await deliver({ id, net: true })).toMatchObject({ acked: true });
    expect(runner.predictions.has(id)).toBe(true);
  });

  it("has the message mean nothing when all went well, or another message looks after it", async ({ expect }) => {
    const well = await imagine(key);
    await arrival(runner, well.id);
    await reachesDispatched(well.id);
    const waits = await waiting("busy");
    later(11);
    const before = runner.requests.length;
    for (const id of [well.id, waits]) expect(await deliver({ id, net: true })).toMatchObject({ acked: true });
    expect(runner.requests.length).toBe(before);
  });
});

describe("a runner that refuses", () => {
  it("fails the generation at once, in its own words", async ({ expect }) => {
    runner.refuse = "prompt: This runner cannot read that.";
    const { id } = await imagine(key);
    expect((await reaches(key, id, "failed")).error).toEqual({
      code: "runner_rejected",
      message: "prompt: This runner cannot read that.",
    });
    runner.refuse = null;
  });

  it("tells why a drawing failed, but no stack trace", async ({ expect }) => {
    const memory = await imagine(key);
    await arrival(runner, memory.id);
    await runner.fail(memory.id, "There is not enough memory for this size.", "out_of_memory");
    expect((await read(key, memory.id)).error).toEqual({
      code: "out_of_memory",
      message: "There is not enough memory for this size.",
    });
    const trace = await imagine(key);
    await arrival(runner, trace.id);
    await runner.fail(trace.id, 'Traceback (most recent call last):\n  File "core.py", line 1\nKeyError');
    expect((await read(key, trace.id)).error?.message).toBe("The runner could not draw this picture.");
  });
});

describe("a lost callback", () => {
  it("is made up for by asking the runner", async ({ expect }) => {
    const { id } = await imagine(key);
    const prediction = await arrival(runner, id);
    prediction.webhook = null;
    await reachesDispatched(id);
    await runner.start(id);
    await runner.progress(id, 20, 25);
    await alarm(id);
    expect(await read(key, id)).toMatchObject({ status: "running", progress: { step: 20 } });
    await runner.succeed(id);
    await alarm(id);
    expect(await read(key, id)).toMatchObject({ status: "succeeded", images: [{ index: 0 }] });
  });

  it("is made up for by the cron when the alarm is lost too", async ({ expect }) => {
    const { id } = await imagine(key);
    const prediction = await arrival(runner, id);
    prediction.webhook = null;
    await reachesDispatched(id);
    await runner.succeed(id);
    later(61);
    await sweep();
    expect((await read(key, id)).status).toBe("succeeded");
  });
});

describe("a runner that dies", () => {
  it("draws the picture after its restart", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await reachesDispatched(id);
    await runner.start(id);
    runner.forget();
    await alarm(id);
    expect(await read(key, id)).toMatchObject({ status: "queued", started_at: null });
    later(10);
    await deliver({ id });
    expect(runner.predictions.has(id)).toBe(true);
    vi.useRealTimers();
    await runner.draw(id);
    expect(await read(key, id)).toMatchObject({ status: "succeeded", images: [{ index: 0 }] });
  });

  it("is left alone for a moment when it says that it shuts down", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await reachesDispatched(id);
    await runner.fail(id, "The runner was shut down before this was done; ask again.", "shutting_down");
    expect((await read(key, id)).status).toBe("queued");
    const { acked, delaySeconds } = await deliver({ id });
    expect(acked).toBe(false);
    expect(delaySeconds).toBeGreaterThanOrEqual(5);
  });

  it("again and again makes it fail, at the third time", async ({ expect }) => {
    const { id } = await imagine(key);
    for (let attempt = 1; attempt <= 3; attempt++) {
      await arrival(runner, id);
      await reachesDispatched(id);
      runner.forget();
      await alarm(id);
      later(30 * attempt);
      if (attempt < 3) await deliver({ id });
    }
    expect(await read(key, id)).toMatchObject({ status: "failed", error: { code: "runner_lost" } });
    expect((await deliver({ id })).acked).toBe(true);
    expect(runner.predictions.has(id)).toBe(false);
  });

  it("and stays dead makes it fail when its time is over", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await reachesDispatched(id);
    await runner.start(id);
    runner.mood = "down";
    await alarm(id);
    expect((await read(key, id)).status).toBe("running");
    later(700);
    await alarm(id);
    expect(await read(key, id)).toMatchObject({ status: "failed", error: { code: "run_timeout" } });
  });

  it("or hangs is told to stop when the time is over", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await reachesDispatched(id);
    await runner.start(id);
    later(700);
    await alarm(id);
    const { error } = await read(key, id);
    expect(error?.code).toBe("run_timeout");
    expect(error?.message).toContain("Ask for fewer steps");
    await vi.waitUntil(() => runner.get(id).status === "canceled", { timeout: 30_000 });
  });
});

describe("before any runner was seen", () => {
  it("the models are refused with a time to come back, and later known while the runner is away", async ({
    expect,
  }) => {
    await env.DB.prepare("DELETE FROM runners").run();
    later(3600);
    runner.mood = "down";
    const refused = await call("GET", "/v1/models", { key });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("Retry-After")).toBe("5");
    expect(await refused.json()).toMatchObject({ code: "models_unknown" });
    runner.mood = "well";
    expect((await call("GET", "/v1/models", { key })).status).toBe(200);
    runner.mood = "down";
    later(7200);
    expect((await call("GET", "/v1/models", { key })).status).toBe(200);
  });
});

/** The edge knows that the runner has it. */
async function reachesDispatched(id: string): Promise<void> {
  await vi.waitUntil(
    async () =>
      (await env.DB.prepare("SELECT dispatched_at FROM generations WHERE id = ?").bind(id).first("dispatched_at")) !==
      null,
    { timeout: 30_000, interval: 5 },
  );
  // The alarm is set right after.
  await vi.waitUntil(() => hasAlarm(id), { timeout: 30_000, interval: 5 });
}

async function hasAlarm(id: string): Promise<boolean> {
  return runInDurableObject(
    env.GENERATION.get(env.GENERATION.idFromName(id)),
    async (_, state) => (await state.storage.getAlarm()) !== null,
  );
}
