import { beforeAll, describe, it, vi } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, deliver, imagine, installRunner, makeKey, read, released } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

async function cancel(id: string): Promise<{ status: number; generation: Generation }> {
  const response = await call("POST", `/v1/generations/${id}/cancel`, { key });
  return { status: response.status, generation: await response.json() };
}

describe("canceling", () => {
  it("ends one that waits, and the runner never hears of it", async ({ expect }) => {
    runner.mood = "busy";
    const { id } = await imagine(key);
    await released(id);
    const { status, generation } = await cancel(id);
    expect(status).toBe(200);
    expect(generation).toMatchObject({ status: "canceled", error: null, images: [] });
    expect(generation.completed_at).not.toBeNull();
    runner.mood = "well";
    expect(await deliver({ id })).toEqual({ acked: true, delaySeconds: null });
    expect(runner.predictions.has(id)).toBe(false);
  });

  it("ends one that the runner has, and stops it there", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.start(id);
    expect((await cancel(id)).generation.status).toBe("canceled");
    await vi.waitUntil(() => runner.get(id).status === "canceled", { timeout: 30_000 });
    expect((await runner.callback(runner.get(id), "completed"))?.status).toBe(204);
    expect((await read(key, id)).status).toBe("canceled");
  });

  it("stays canceled when the picture comes all the same", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await cancel(id);
    await runner.succeed(id);
    expect(await read(key, id)).toMatchObject({ status: "canceled", images: [] });
  });

  it("changes nothing about an ended one, however often", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.draw(id);
    const before = await read(key, id);
    expect(await cancel(id)).toEqual({ status: 200, generation: before });
    expect(await cancel(id)).toEqual({ status: 200, generation: before });
  });

  it("follows a cancel that was made at the runner", async ({ expect }) => {
    const { id } = await imagine(key);
    const prediction = await arrival(runner, id);
    prediction.status = "canceled";
    await runner.callback(prediction, "completed");
    expect((await read(key, id)).status).toBe("canceled");
  });

  it("reaches a prediction that was being created while the cancel came", async ({ expect }) => {
    runner.mood = "busy";
    const { id } = await imagine(key);
    await released(id);
    runner.mood = "well";
    runner.beforeAnswer = async () => {
      runner.beforeAnswer = null;
      await cancel(id);
    };
    expect((await deliver({ id })).acked).toBe(true);
    expect(runner.get(id).status).toBe("canceled");
    expect((await read(key, id)).status).toBe("canceled");
  });
});
