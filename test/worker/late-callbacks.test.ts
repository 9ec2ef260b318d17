import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, deliver, imagine, installRunner, makeKey, read, until } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});
afterEach(() => {
  vi.useRealTimers();
});

const later = (seconds: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });
const rowOf = (id: string) =>
  env.DB.prepare("SELECT status, attempts, dispatched_at FROM generations WHERE id = ?")
    .bind(id)
    .first<{ status: string; attempts: number; dispatched_at: number | null }>();

const dispatched = (id: string, attempts: number) =>
  until(async () => {
    const row = await rowOf(id);
    return row?.attempts === attempts && row.dispatched_at !== null;
  });

/** A generation whose runner went down with it; answers the callback that said so. */
async function shutDown() {
  const { id } = await imagine(key);
  await arrival(runner, id);
  await dispatched(id, 1);
  const prediction = runner.get(id);
  prediction.completed_at = new Date().toISOString();
  await runner.fail(id, "The runner was shut down before this was done; ask again.", "shutting_down");
  return { id, callback: structuredClone(prediction) };
}

describe("a callback that a runner shuts down, which comes twice", () => {
  it("ends nothing while the generation rests", async ({ expect }) => {
    const { id, callback } = await shutDown();
    expect((await runner.callback(callback, "completed"))?.status).toBe(204);
    expect(await rowOf(id)).toEqual({ status: "queued", attempts: 1, dispatched_at: null });
  });

  it("is no other death of the runner that has it by then", async ({ expect }) => {
    const { id, callback } = await shutDown();
    later(10);
    runner.forget();
    await deliver({ id });
    await dispatched(id, 2);
    for (let times = 0; times < 3; times++) expect((await runner.callback(callback, "completed"))?.status).toBe(204);
    expect(await rowOf(id)).toMatchObject({ attempts: 2, dispatched_at: expect.any(Number) });
    await runner.draw(id);
    expect((await read(key, id)).status).toBe("succeeded");
  });

  it("is one where it ended after it was handed on", async ({ expect }) => {
    const { id } = await shutDown();
    later(10);
    runner.forget();
    await deliver({ id });
    await dispatched(id, 2);
    later(5);
    runner.get(id).completed_at = new Date().toISOString();
    await runner.fail(id, "The runner was shut down again.", "shutting_down");
    expect(await rowOf(id)).toEqual({ status: "queued", attempts: 2, dispatched_at: null });
  });
});
