import { env } from "cloudflare:workers";
import { beforeAll, describe, it } from "vitest";
import { Generation } from "../../src/contract/generation.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, reaches, read } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

describe("the way of a prompt", () => {
  it("accepts, draws, stores and serves a picture", async ({ expect }) => {
    const accepted = await call("POST", "/v1/generations", {
      key,
      body: { prompt: "two purple cats", seed: 7, num_images: 2, user: "u1", metadata: { job: "42" } },
    });
    expect(accepted.status).toBe(202);
    const { id, urls, ...queued } = await accepted.json<Generation>();
    expect(accepted.headers.get("Location")).toBe(urls.self);
    expect(queued).toMatchObject({ status: "queued", images: [], progress: { fraction: 0, steps: 25 } });

    const prediction = await arrival(runner, id);
    expect(prediction).toMatchObject({
      model: "vignette/miniature",
      webhook: `${env.PUBLIC_URL}/internal/runner/${id}`,
      webhook_events_filter: ["start", "logs", "completed"],
      input: {
        prompt: "two purple cats",
        negative_prompt: "",
        model: "miniature",
        adapter: "sur",
        adapter_scale: 1,
        width: 128,
        height: 128,
        num_inference_steps: 25,
        guidance_scale: 4,
        scheduler: "DDIMScheduler",
        seed: 7,
        num_images: 2,
        output_format: "png",
      },
    });
    await runner.start(id);
    await runner.progress(id, 10, 25);
    expect(await read(key, id)).toMatchObject({
      status: "running",
      progress: { fraction: 0.4, step: 10, steps: 25, queue_position: null },
    });
    await runner.succeed(id);

    const done = await read(key, id);
    expect(Generation.parse(done)).toEqual(done);
    expect(done).toMatchObject({
      status: "succeeded",
      model: "miniature",
      adapter: { id: "sur", scale: 1 },
      negative_prompt: null,
      parameters: { seed: 7, num_images: 2 },
      reading: [{ tag: "purple cat", score: 0.9 }],
      notice: "The runner has something to say.",
      progress: null,
      error: null,
      cached: false,
      metrics: { run_ms: 250 },
      user: "u1",
      metadata: { job: "42" },
    });
    expect(done.images.map(({ index, seed, width, height }) => ({ index, seed, width, height }))).toEqual([
      { index: 0, seed: 7, width: 128, height: 128 },
      { index: 1, seed: 8, width: 128, height: 128 },
    ]);
    for (const [index, image] of done.images.entries()) {
      const served = await call("GET", image.url);
      expect(new Uint8Array(await served.arrayBuffer())).toEqual(runner.files.get(`/files/${id}/${index}.png`));
    }
  });

  it("holds the answer back with Prefer: wait, and gives 201 at the end", async ({ expect }) => {
    runner.forget();
    const answer = call("POST", "/v1/generations", { key, body: { prompt: "a fox" }, headers: { Prefer: "wait=30" } });
    await runner.draw((await arrival(runner)).id);
    const response = await answer;
    expect(response.status).toBe(201);
    expect(response.headers.get("Preference-Applied")).toBe("wait=30");
    expect(await response.json()).toMatchObject({ status: "succeeded", images: [{ index: 0 }] });
  });

  it("answers 202 when the wait runs out, and still draws", async ({ expect }) => {
    const response = await call("POST", "/v1/generations", {
      key,
      body: { prompt: "a slow fox" },
      headers: { Prefer: "wait=1" },
    });
    expect(response.status).toBe(202);
    const { id } = await response.json<Generation>();
    await runner.draw(id);
    expect((await read(key, id)).status).toBe("succeeded");
  });

  it("draws without an adapter when it is null, and says so", async ({ expect }) => {
    const { id, adapter } = await imagine(key, { adapter: null });
    expect(adapter).toBeNull();
    const { input } = await arrival(runner, id);
    expect(input.adapter).toBeNull();
    expect(input).not.toHaveProperty("adapter_scale");
  });

  it("chooses a seed when none is given, and tells it", async ({ expect }) => {
    const [one, two] = await Promise.all([imagine(key), imagine(key)]);
    expect(one.parameters.seed).not.toBe(two.parameters.seed);
    expect((await arrival(runner, one.id)).input.seed).toBe(one.parameters.seed);
  });
});

describe("the list", () => {
  it("pages newest first through everything once, and filters", async ({ expect }) => {
    const mine = await makeKey({ account: "lister" });
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.unshift((await imagine(mine, { user: i % 2 ? "odd" : "even" })).id);
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = await (
        await call("GET", `/v1/generations?limit=2${cursor && `&cursor=${cursor}`}`, { key: mine })
      ).json<{ data: Generation[]; next_cursor: string | null }>();
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.next_cursor ?? "";
    } while (cursor);
    expect(seen).toEqual(made);

    const odd = await (await call("GET", "/v1/generations?user=odd", { key: mine })).json<{ data: Generation[] }>();
    expect(odd.data.map(({ id }) => id)).toEqual([made[1], made[3]]);
    await runner.draw((await arrival(runner, made[0])).id);
    const done = await (await call("GET", "/v1/generations?status=succeeded", { key: mine })).json<{
      data: Generation[];
    }>();
    expect(done.data.map(({ id, images }) => [id, images.length])).toEqual([[made[0], 1]]);
  });
});

describe("deleting", () => {
  it("takes the images along", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.draw(id);
    const [image] = (await reaches(key, id, "succeeded")).images;
    expect((await call("GET", image?.url ?? "")).status).toBe(200);
    expect((await call("DELETE", `/v1/generations/${id}`, { key })).status).toBe(204);
    expect((await call("GET", image?.url ?? "")).status).toBe(404);
    expect((await call("GET", `/v1/generations/${id}`, { key })).status).toBe(404);
    expect((await env.IMAGES.list({ prefix: `images/${id}/` })).objects).toEqual([]);
    expect((await call("DELETE", `/v1/generations/${id}`, { key })).status).toBe(404);
  });

  it("stops a running one first, and leaves nothing when its picture comes late", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.start(id);
    expect((await call("DELETE", `/v1/generations/${id}`, { key })).status).toBe(204);
    expect((await runner.succeed(id))?.status).toBe(204);
    expect((await env.IMAGES.list({ prefix: `images/${id}/` })).objects).toEqual([]);
  });
});
