import {
  createExecutionContext,
  createScheduledController,
  runDurableObjectAlarm,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import worker from "../../src/worker/index.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, deliver, imagine, installRunner, makeKey, reaches } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
  await imagine(key);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.spyOn(globalThis, "fetch").mockImplementation(runner.fetch);
});

type Line = Record<string, unknown>;

/** What is written while something is done. */
async function lines(work: (written: Line[]) => Promise<unknown>): Promise<Line[]> {
  const written: Line[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((text) => void written.push(JSON.parse(String(text))));
  await work(written);
  log.mockRestore();
  return written;
}

/** The line about what went on after the answer to the request that made a generation. */
function backgroundOf(generation: string, written: Line[]): Line | undefined {
  const request = written.find((line) => line.event === "request" && line.generation === generation);
  return written.find((line) => line.event === "background" && line.request_id === request?.request_id);
}

describe("a request's line", () => {
  it("says what it was, what became of it and what it cost", async ({ expect }) => {
    const [line, ...more] = (
      await lines(() => call("POST", "/v1/generations", { key, body: { prompt: "a cat", seed: 1 } }))
    ).filter(({ event }) => event === "request");
    expect(more).toEqual([]);
    expect(line).toMatchObject({
      request_id: expect.stringMatching(/^req_/),
      method: "POST",
      route: "/v1/generations",
      status: 202,
      cache: "fwd=uri-miss; stored",
      generation: expect.stringMatching(/^gen_/),
      account: "acme",
      key: expect.stringMatching(/^key_/),
      d1: 2,
      queue: 1,
    });
    expect(line?.rows_written).toBeGreaterThan(0);
    expect(line).not.toHaveProperty("r2_a");
  });

  it("names no end user of a customer", async ({ expect }) => {
    for (const path of ["/v1/profiles/discord%3A424242", "/v1/groups/discord%3A424242"]) {
      const written = await lines(() => call("GET", path, { key }));
      expect(written.some(({ event, status }) => event === "request" && status === 200)).toBe(true);
      expect(JSON.stringify(written)).not.toContain("424242");
    }
  });

  it("is followed by one about what it cost after its answer", async ({ expect }) => {
    let id = "";
    const written = await lines(async (soFar) => {
      id = (await imagine(key)).id;
      await arrival(runner, id);
      await vi.waitUntil(() => backgroundOf(id, soFar), { timeout: 30_000, interval: 5 });
      await runDurableObjectAlarm(env.GENERATION.get(env.GENERATION.idFromName(id)));
    });
    expect(backgroundOf(id, written)).toMatchObject({ ms: expect.any(Number), d1: 1, objects: 1 });
    expect(written.find(({ event }) => event === "alarm")).toMatchObject({ generation: id, d1: expect.any(Number) });
  });

  it("tells a cache hit's one trip, and an image's reads", async ({ expect }) => {
    const { id } = await imagine(key, { seed: 2 });
    await arrival(runner, id);
    await runner.draw(id);
    const { images } = await reaches(key, id, "succeeded");
    const [hit] = await lines(() =>
      call("POST", "/v1/generations", { key, body: { prompt: "two purple cats", seed: 2 } }),
    );
    expect(hit).toMatchObject({ status: 200, cache: "hit", d1: 1 });
    const [image] = await lines(() => call("GET", images[0]?.url ?? ""));
    expect(image).toMatchObject({ route: "/i/:file", status: 200, d1: 1, r2_b: 1 });
    expect(image).not.toHaveProperty("generation");
  });
});

describe("what no request asked for", () => {
  it("has a line too: queue, cron", async ({ expect }) => {
    const queue = await lines(() => deliver({ id: "gen_00000000000000000000000000" }));
    expect(queue.find(({ event }) => event === "queue")).toMatchObject({ queue: "generations", messages: 1, d1: 2 });
    const cron = await lines(async () => {
      const ctx = createExecutionContext();
      await worker.scheduled(createScheduledController(), env, ctx);
      await waitOnExecutionContext(ctx);
    });
    expect(cron.find(({ event }) => event === "cron")).toMatchObject({ d1: expect.any(Number) });
  });

  it("is told of the part that failed, and the others are done", async ({ expect }) => {
    const broken = vi.spyOn(env.DB, "prepare").mockImplementation(() => {
      throw new Error("D1 is away");
    });
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    const ctx = createExecutionContext();
    await worker.scheduled(createScheduledController(), env, ctx);
    broken.mockRestore();
    expect(errors.mock.calls.filter(([text]) => String(text).includes("cron_failed")).length).toBeGreaterThan(1);
  });

  it("goes to the right hands in every environment", async ({ expect }) => {
    for (const queue of ["generations-dead", "generations-dead-staging"]) {
      const load = vi.spyOn(env.DB, "prepare");
      await deliver({ id: "gen_00000000000000000000000000" }, { queue });
      expect(load.mock.calls.some(([sql]) => sql.startsWith("UPDATE generations SET claimed_until"))).toBe(false);
      load.mockRestore();
    }
  });
});

describe("metrics", () => {
  it("have a point for each request and each end, without prompts, users or keys", async ({ expect }) => {
    const points: AnalyticsEngineDataPoint[] = [];
    const write = vi.spyOn(env.METRICS ?? { writeDataPoint() {} }, "writeDataPoint").mockImplementation((point) => {
      if (point) points.push(point);
    });
    const { id } = await imagine(key, { user: "ada", prompt: "a very private sentence" });
    await arrival(runner, id);
    await runner.draw(id);
    await reaches(key, id, "succeeded");
    write.mockRestore();
    expect(points.find(({ blobs }) => blobs?.[0] === "request")).toMatchObject({
      indexes: ["acme"],
      blobs: ["request", "/v1/generations", "POST", "202", "", "fwd=bypass"],
      doubles: [expect.any(Number), 1, expect.any(Number), expect.any(Number), 0, 0, 1, 0],
    });
    const ends = points.filter(({ blobs }) => blobs?.[0] === "generation");
    expect(ends).toHaveLength(1);
    expect(ends[0]).toMatchObject({
      indexes: ["acme"],
      blobs: ["generation", "succeeded", "miniature", "default", "", ""],
      doubles: [expect.any(Number), expect.any(Number), 250, 1, 1],
    });
    const text = JSON.stringify(points);
    for (const secret of ["private", "ada", key]) expect(text).not.toContain(secret);
  });

  it("may be missing, or fail, without anybody noticing", async ({ expect }) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(env.METRICS ?? { writeDataPoint() {} }, "writeDataPoint").mockImplementation(() => {
      throw new Error("too many points");
    });
    expect((await call("GET", "/healthz")).status).toBe(200);
    const { METRICS: _, ...without } = env;
    const request = new Request("https://vignette.test/healthz") as Parameters<typeof worker.fetch>[0];
    const ctx = createExecutionContext();
    expect((await worker.fetch(request, without as Cloudflare.Env, ctx)).status).toBe(200);
  });
});
