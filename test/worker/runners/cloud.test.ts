import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import type { Problem } from "../../../src/contract/problem.ts";
import { CLOUD_SECRET } from "../../fakes/runners.ts";
import { signWebhook } from "../../fakes/sign.ts";
import { call, deliver, imagine, makeKey, reaches, read, released } from "../harness.ts";
import { dispatched, drawing, installWorld, rowOf, type World } from "./world.ts";

let world: World;
let key: string;
beforeAll(async () => {
  world = installWorld();
  key = await makeKey();
});
afterEach(() => {
  vi.useRealTimers();
  world.cloud.mood = "well";
});

const later = (seconds: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });
const alarm = (id: string) => runDurableObjectAlarm(env.GENERATION.get(env.GENERATION.idFromName(id)));
const watched = (id: string) =>
  vi.waitUntil(async () => (await rowOf(id))?.dispatched_at != null, { timeout: 30_000, interval: 5 });

describe("Replicate's cloud", () => {
  it("draws under its own name, with its own inputs, and its files are fetched without the token", async ({
    expect,
  }) => {
    const { id } = await imagine(key, { model: "painter", num_images: 2, negative_prompt: "dogs", seed: 3 });
    const prediction = await drawing(world.cloud, id);
    expect(prediction.input).toEqual({
      prompt: "two purple cats",
      negative_prompt: "dogs",
      width: 128,
      height: 128,
      num_inference_steps: 25,
      guidance_scale: 4,
      scheduler: "K_EULER",
      seed: 3,
      num_outputs: 2,
    });
    await dispatched(id);
    expect(await rowOf(id)).toMatchObject({ runner: "cloud", prediction_id: prediction.id });
    await world.cloud.start(prediction.id);
    await world.cloud.progress(prediction.id, 5, 25);
    expect(await read(key, id)).toMatchObject({ status: "running", progress: { step: 5 } });
    await world.cloud.succeed(prediction.id);
    const { images } = await reaches(key, id, "succeeded");
    expect(images).toHaveLength(2);
    for (const { url } of images) expect((await call("GET", url)).status).toBe(200);
  });

  it.for(["deployed-painter", "official-painter"])("draws %s at its own address", async (model, { expect }) => {
    const { id } = await imagine(key, { model });
    const prediction = await drawing(world.cloud, id);
    expect(prediction.model).toBe("ada/painter");
    await dispatched(id);
    await world.cloud.draw(prediction.id);
    await reaches(key, id, "succeeded");
  });

  it("is not asked for a format that its model does not give", async ({ expect }) => {
    const refused = await call("POST", "/v1/generations", {
      key,
      body: { prompt: "a cat", model: "painter", output_format: "webp" },
    });
    expect(refused.status).toBe(422);
    expect((await refused.json<Problem>()).errors).toEqual([
      { pointer: "#/output_format", detail: 'There is no format "webp"; choose one of png.' },
    ]);
  });

  it("is waited for as long as its sentence says when it throttles", async ({ expect }) => {
    world.cloud.mood = "busy";
    const { id } = await imagine(key, { model: "painter" });
    await released(id);
    const { acked, delaySeconds } = await deliver({ id });
    expect(acked).toBe(false);
    expect(delaySeconds).toBeGreaterThanOrEqual(8);
    world.cloud.mood = "well";
    await deliver({ id });
    await world.cloud.draw((await drawing(world.cloud, id)).id);
    await reaches(key, id, "succeeded");
  });

  it("is asked when its callbacks are lost", async ({ expect }) => {
    const { id } = await imagine(key, { model: "painter" });
    const prediction = await drawing(world.cloud, id);
    await watched(id);
    prediction.webhook_events_filter = [];
    await world.cloud.succeed(prediction.id);
    await vi.waitUntil(() => alarm(id), { timeout: 30_000 });
    expect((await read(key, id)).status).toBe("succeeded");
    expect(world.cloud.requests).toContain(`GET /v1/predictions/${prediction.id}`);
  });

  it("cancels under the name that it gave", async ({ expect }) => {
    const { id } = await imagine(key, { model: "painter" });
    const prediction = await drawing(world.cloud, id);
    await watched(id);
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    await vi.waitUntil(() => prediction.status === "canceled", { timeout: 30_000 });
    expect(world.cloud.requests).toContain(`POST /v1/predictions/${prediction.id}/cancel`);
  });
});

describe("a create whose answer was lost", () => {
  it("is not repeated at once: the callback tells the name", async ({ expect }) => {
    world.cloud.mood = "lost";
    const { id } = await imagine(key, { model: "painter" });
    const prediction = await drawing(world.cloud, id);
    await watched(id);
    world.cloud.mood = "well";
    expect(await rowOf(id)).toMatchObject({ runner: "cloud", prediction_id: null });
    expect((await deliver({ id })).acked).toBe(true);
    await world.cloud.start(prediction.id);
    expect(await rowOf(id)).toMatchObject({ prediction_id: prediction.id });
    await world.cloud.succeed(prediction.id);
    await reaches(key, id, "succeeded");
    const all = [...world.cloud.predictions.values()].filter(({ webhook }) => webhook?.includes(id));
    expect(all).toHaveLength(1);
  });

  it("is repeated after a minute of silence, and the first one is stopped when it speaks up after all", async ({
    expect,
  }) => {
    world.cloud.mood = "lost";
    const { id } = await imagine(key, { model: "painter" });
    const first = await drawing(world.cloud, id);
    await watched(id);
    world.cloud.mood = "well";
    later(61);
    await vi.waitUntil(() => alarm(id), { timeout: 30_000 });
    expect((await read(key, id)).status).toBe("queued");
    expect(await rowOf(id)).toMatchObject({ runner: null, dispatched_at: null });
    later(10);
    await deliver({ id });
    const row = await rowOf(id);
    expect(row?.prediction_id).not.toBe(first.id);
    vi.useRealTimers();
    expect((await world.cloud.start(first.id))?.status).toBe(204);
    await vi.waitUntil(() => world.cloud.get(first.id).status === "canceled", { timeout: 30_000 });
    expect((await read(key, id)).status).toBe("queued");
    await world.cloud.draw(row?.prediction_id ?? "");
    await reaches(key, id, "succeeded");
  });
});

describe("the cloud's callbacks", () => {
  const send = async (id: string, body: object, query = "?runner=cloud", secret = CLOUD_SECRET) => {
    const text = JSON.stringify(body);
    const headers = await signWebhook(text, secret, { now: Date.now() });
    return (await call("POST", `/internal/runner/${id}${query}`, { body: text, headers })).status;
  };

  it("are refused with another runner's secret, and under a name that nobody has", async ({ expect }) => {
    const { id } = await imagine(key, { model: "painter" });
    const prediction = await drawing(world.cloud, id);
    await watched(id);
    const forged = { ...prediction, status: "failed", error: "forged" };
    expect(await send(id, forged, "?runner=cloud", env.RUNNER_WEBHOOK_SECRET)).toBe(401);
    expect(await send(id, forged, "?runner=nobody")).toBe(404);
    // Our own runner's word does not count for a picture that the cloud draws.
    expect(await send(id, { ...forged, id }, "", env.RUNNER_WEBHOOK_SECRET)).toBe(204);
    expect((await read(key, id)).status).toBe("queued");
  });

  it("of one picture change nothing at another's address", async ({ expect }) => {
    const [one, two] = [await imagine(key, { model: "painter" }), await imagine(key, { model: "painter" })];
    const [a] = [await drawing(world.cloud, one.id), await drawing(world.cloud, two.id)];
    await Promise.all([watched(one.id), watched(two.id)]);
    expect(await send(two.id, { ...a, status: "failed", error: "moved" })).toBe(204);
    expect((await read(key, two.id)).status).toBe("queued");
  });
});
