import {
  createExecutionContext,
  createScheduledController,
  runDurableObjectAlarm,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, beforeAll, beforeEach, describe, it, vi } from "vitest";
import { isTerminal } from "../../src/contract/generation.ts";
import worker from "../../src/worker/index.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, deliver, imagine, installRunner, makeKey, read } from "./harness.ts";

let runner: FakeRunner;
beforeAll(() => {
  runner = installRunner();
  vi.spyOn(console, "log").mockImplementation(() => {});
});

// Every isolate has a clock of its own, which the stories move.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
});
afterEach(() => {
  vi.useRealTimers();
});
const skew = async (ms: number) => vi.setSystemTime(Date.now() + ms);

const object = (id: string) => env.GENERATION.get(env.GENERATION.idFromName(id));

async function cron(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController(), env, ctx);
  await waitOnExecutionContext(ctx);
}

/** Everything that can befall a generation which a runner has taken. */
const NEWS: Record<string, (id: string, key: string) => Promise<unknown>> = {
  "the runner begins": (id) => runner.start(id),
  "a step": (id) => runner.progress(id, 1 + (runner.get(id).logs.length % 20), 25),
  "the runner is done": (id) => runner.succeed(id),
  "the runner fails": (id) => runner.fail(id, "Out of paint."),
  "the last callback again": (id) => runner.callback(runner.get(id), "completed"),
  "the client cancels": (id, key) => call("POST", `/v1/generations/${id}/cancel`, { key }),
  "its message": (id) => deliver({ id }),
  "its maker's message": (id) => deliver({ id, net: true }),
  "its alarm": (id) => runDurableObjectAlarm(object(id)),
  "the cron": () => cron(),
  "another isolate's clock, a minute ahead": () => skew(60_000),
  "another isolate's clock, a minute behind": () => skew(-60_000),
};

describe("a generation", () => {
  it("has one end that nothing changes, and is billed for it, in whatever order news come", {
    timeout: 300_000,
  }, async ({ expect }) => {
    let accounts = 0;
    const names = fc.array(fc.constantFrom(...Object.keys(NEWS)), { minLength: 2, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(names, async (story) => {
        const account = `story-${++accounts}`;
        const key = await makeKey({ account });
        const { id } = await imagine(key);
        await arrival(runner, id);
        let end: unknown = null;
        for (const name of [...story, "the client cancels", "the last callback again"]) {
          await NEWS[name]?.(id, key);
          const now = await read(key, id);
          if (end !== null) expect(now, `after "${name}"`).toEqual(end);
          else if (isTerminal(now.status)) end = now;
        }
        const { status, images, error, created_at, started_at, completed_at, metrics } = await read(key, id);
        const times = [created_at, started_at ?? created_at, completed_at ?? ""];
        expect(times).toEqual(times.toSorted());
        for (const ms of Object.values(metrics)) expect(ms ?? 0).toBeGreaterThanOrEqual(0);
        expect(end).toMatchObject({ status: expect.stringMatching(/^(succeeded|failed|canceled)$/), progress: null });
        expect([images.length, error !== null]).toEqual([status === "succeeded" ? 1 : 0, status === "failed"]);
        const billed = env.DB.prepare("SELECT COALESCE(SUM(images), 0) AS n FROM usage WHERE account_id = ?");
        expect(await billed.bind(account).first("n")).toBe(status === "succeeded" ? 1 : 0);
        const stored = await env.IMAGES.list({ prefix: `images/${id}/` });
        expect(stored.objects.length).toBe(status === "succeeded" ? 1 : 0);
      }),
      { seed: 20261125, numRuns: 25 },
    );
  });
});
