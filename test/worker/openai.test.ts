import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import OpenAI, {
  type APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  RateLimitError,
} from "openai";
import { beforeAll, describe, it, vi } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import { makeDeps } from "../../src/worker/deps.ts";
import { check } from "../../src/worker/services/check.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, edge, installRunner, makeKey, read, released } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

/** The official SDK, as a customer sets it up. */
const sdk = (apiKey = key) =>
  new OpenAI({
    apiKey,
    baseURL: `${env.PUBLIC_URL}/v1`,
    maxRetries: 0,
    fetch: (input, init) => edge(new Request(input as string, init as RequestInit)),
  });

/** Lets the runner draw what was asked for by this prompt. */
async function drawn(prompt: string): Promise<string> {
  const { id } = await arrivalOf(prompt);
  await runner.start(id);
  await runner.succeed(id);
  return id;
}

function arrivalOf(prompt: string) {
  return vi.waitUntil(() => [...runner.predictions.values()].find(({ input }) => input.prompt === prompt), {
    timeout: 30_000,
    interval: 5,
  });
}

describe("the official openai SDK", () => {
  it("gets pictures by URL", async ({ expect }) => {
    const limited = await makeKey({ limits: { requests_per_minute: 60 } });
    const asked = sdk(limited).images.generate({ prompt: "two owls", n: 2, size: "auto", user: "ada" }).withResponse();
    const id = await drawn("two owls");
    const { data, response } = await asked;
    const generation = await read(key, id);
    expect(generation).toMatchObject({ user: "ada", parameters: { num_images: 2 } });
    expect(data.data?.map(({ url }) => url)).toEqual(generation.images.map(({ url }) => url));
    expect(data).toMatchObject({ size: "128x128", output_format: "png", background: "opaque", quality: "auto" });
    expect(data.created).toBe(Math.floor(Date.parse(generation.created_at) / 1000));
    expect(response.headers.get("x-ratelimit-remaining-requests")).toMatch(/^\d+$/);
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
  });

  it("gets the bytes themselves as base64", async ({ expect }) => {
    const asked = sdk().images.generate({ prompt: "three owls", response_format: "b64_json", output_format: "png" });
    const id = await drawn("three owls");
    const [image] = (await asked).data ?? [];
    const bytes = Uint8Array.from(atob(image?.b64_json ?? ""), (char) => char.charCodeAt(0));
    const [stored] = (await read(key, id)).images;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    expect([...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")).toBe(stored?.sha256);
  });

  it("turns size and quality into pixels and steps, and passes our own fields on", async ({ expect }) => {
    const ours = { seed: 11, adapter: null, negative_prompt: "rain" } as object;
    const asked = sdk().images.generate({ prompt: "four owls", size: "64x128" as "auto", quality: "low", ...ours });
    const { id, input } = await arrivalOf("four owls");
    expect(input).toMatchObject({ width: 64, height: 128, num_inference_steps: 13, seed: 11, negative_prompt: "rain" });
    expect(input.adapter).toBeNull();
    await runner.start(id);
    await runner.succeed(id);
    await asked;
  });

  it("hears of the picture as an event when it streams", async ({ expect }) => {
    const events = await sdk().images.generate({ prompt: "an owl at night", stream: true, partial_images: 2 });
    const [seen] = await Promise.all([collect(events), drawn("an owl at night")]);
    expect(seen.map(({ type }) => type)).toEqual(["image_generation.completed"]);
    expect(seen[0]).toMatchObject({ size: "128x128", output_format: "png", b64_json: expect.stringMatching(/^iVBOR/) });
  });

  it("sees the picture become clear, as often as it asked for", async ({ expect }) => {
    const events = await sdk().images.generate({ prompt: "an owl, slowly", stream: true, partial_images: 2 });
    const collected = collect(events);
    const { id, input } = await arrivalOf("an owl, slowly");
    expect(input.preview_every).toBe(9);
    await runner.start(id);
    for (const step of [9, 18, 24]) {
      await runner.progress(id, step, 25);
      await runner.preview(id, 0, `step ${step}`);
    }
    await runner.succeed(id);
    const seen = await collected;
    expect(seen.map(({ type }) => type)).toEqual([
      "image_generation.partial_image",
      "image_generation.partial_image",
      "image_generation.completed",
    ]);
    expect(seen[1]).toMatchObject({
      partial_image_index: 1,
      size: "128x128",
      b64_json: expect.stringMatching(/^iVBOR/),
    });
  });

  it("throws its own classes, with the field at fault", async ({ expect }) => {
    const wrong = await refused(sdk().images.generate({ prompt: "owl", size: "100x100" as "auto" }));
    expect(wrong).toBeInstanceOf(BadRequestError);
    expect(wrong).toMatchObject({ status: 400, param: "size", code: "invalid_request", type: "invalid_request_error" });
    const large = await refused(sdk().images.generate({ prompt: "owl", size: "1024x1024" }));
    expect(large).toMatchObject({ status: 400, param: "size" });
    const strange = await refused(sdk().images.generate({ prompt: "owl", style: "vivid" }));
    expect(strange).toMatchObject({ status: 400, param: "style" });
    const empty = await refused(sdk().images.generate({ prompt: "" }));
    expect(empty).toMatchObject({ status: 400, param: "prompt" });
    const both = await refused(
      sdk().images.generate({ prompt: "owl", stream: true, response_format: "url" } as never) as Promise<unknown>,
    );
    expect(both).toMatchObject({ status: 400, param: "response_format" });
    const model = await refused(sdk().images.generate({ prompt: "owl", model: "dall-e-3" }));
    expect(model).toMatchObject({ status: 400, param: "model" });
    const stranger = await refused(sdk("vgt_nonsense").images.generate({ prompt: "owl" }));
    expect(stranger).toBeInstanceOf(AuthenticationError);
    expect(stranger).toMatchObject({ code: "key_malformed", type: "invalid_request_error" });
  });

  it("throws RateLimitError at a limit", async ({ expect }) => {
    const limited = await makeKey({ account: "openai-limited", limits: { images_per_day: 1 } });
    const error = await refused(sdk(limited).images.generate({ prompt: "owl", n: 2 }));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ code: "quota_exceeded", type: "insufficient_quota" });
    expect((error as APIError).headers?.get("retry-after")).toMatch(/^\d+$/);
  });

  it("throws InternalServerError when it cannot be drawn, and says not to try again", async ({ expect }) => {
    const asked = refused(sdk().images.generate({ prompt: "five owls" }));
    const { id } = await arrivalOf("five owls");
    await runner.start(id);
    await runner.fail(id, "The pencil broke.");
    const error = await asked;
    expect(error).toBeInstanceOf(InternalServerError);
    expect(error).toMatchObject({ code: "generation_failed", message: expect.stringContaining("The pencil broke.") });
    expect((error as APIError).headers?.get("x-should-retry")).toBe("false");
  });

  it("throws in the middle of a stream too", async ({ expect }) => {
    const events = await sdk().images.generate({ prompt: "six owls", stream: true });
    const failing = refused(collect(events));
    const { id } = await arrivalOf("six owls");
    await runner.start(id);
    await runner.fail(id, "The pencil broke.");
    expect(await failing).toMatchObject({ message: expect.stringContaining("The pencil broke.") });
  });
});

describe("OpenAI's shape", () => {
  it("holds for every error below /v1/images, and for no other", async ({ expect }) => {
    const broken = await call("POST", "/v1/images/generations", { key, body: "{" });
    expect(broken.status).toBe(400);
    expect(await broken.json()).toMatchObject({ error: { code: "invalid_json", type: "invalid_request_error" } });
    const wrong = await call("GET", "/v1/images/generations", { key });
    expect(wrong.status).toBe(405);
    expect(await wrong.json()).toMatchObject({ error: { code: "method_not_allowed", param: null } });
    const ours = await call("POST", "/v1/generations", { key, body: "{" });
    expect(ours.headers.get("Content-Type")).toBe("application/problem+json");
  });

  it("answers a repeated Idempotency-Key with the same picture", async ({ expect }) => {
    const ask = () =>
      call("POST", "/v1/images/generations", {
        key,
        body: { prompt: "seven owls" },
        headers: { "Idempotency-Key": '"owls-7"' },
      });
    const first = ask();
    await drawn("seven owls");
    const [one, two] = [await (await first).json(), await (await ask()).json()];
    expect(two).toEqual(one);
    expect([...runner.predictions.values()].filter(({ input }) => input.prompt === "seven owls")).toHaveLength(1);
  });

  it("takes another form of the answer for another request", async ({ expect }) => {
    const ask = (more: object) =>
      call("POST", "/v1/images/generations", {
        key,
        body: { prompt: "eight owls", ...more },
        headers: { "Idempotency-Key": "owls-8" },
      });
    const first = ask({ response_format: "url" });
    await drawn("eight owls");
    expect((await first).status).toBe(200);
    for (const more of [{ response_format: "b64_json" }, { stream: true }, {}])
      expect(await (await ask(more)).json()).toMatchObject({ error: { code: "idempotency_key_reused" } });
    expect((await ask({ response_format: "url" })).status).toBe(200);
  });
});

describe("an answer that is held back", () => {
  it("comes though the live object breaks off, as one does that is reset", async ({ expect }) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const get = env.GENERATION.get.bind(env.GENERATION);
    let breaks = 1;
    const objects = vi.spyOn(env.GENERATION, "get").mockImplementation((id) => {
      const stub = get(id) as unknown as Record<string, (...args: unknown[]) => unknown>;
      const method =
        (name: string) =>
        async (...args: unknown[]) => {
          if (name === "wait" && breaks-- > 0) throw new Error("The Durable Object's code has been updated.");
          return stub[name]?.(...args);
        };
      return new Proxy(stub, { get: (_, name) => method(String(name)) }) as never;
    });
    const asked = sdk().images.generate({ prompt: "nine owls" });
    const id = await drawn("nine owls");
    expect((await asked).data?.map(({ url }) => url)).toEqual((await read(key, id)).images.map(({ url }) => url));
    expect(breaks).toBeLessThanOrEqual(0);
    breaks = Number.POSITIVE_INFINITY;
    const held = call("POST", "/v1/generations", { key, body: { prompt: "ten owls" }, headers: { Prefer: "wait=5" } });
    const { id: accepted } = await arrivalOf("ten owls");
    const answer = await held;
    expect([answer.status, (await answer.json<Generation>()).id]).toEqual([202, accepted]);
    objects.mockRestore();
  });

  it("is no error though its message could not be sent, and what waits is found", async ({ expect }) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    runner.mood = "busy";
    const queue = vi.spyOn(env.GENERATIONS, "send").mockRejectedValue(new Error("overloaded"));
    const body = { prompt: "eleven owls" };
    const answer = await call("POST", "/v1/generations", { key, body, headers: { Prefer: "wait=1" } });
    queue.mockRestore();
    runner.mood = "well";
    const { id } = await answer.json<Generation>();
    expect(answer.status).toBe(202);
    await released(id);
    const ctx = createExecutionContext();
    // Later than a refusal is remembered.
    await check({ ...makeDeps(env, ctx), now: () => Date.now() + 5_000 }, id);
    await waitOnExecutionContext(ctx);
    expect((await arrivalOf("eleven owls")).id).toBe(id);
  });
});

async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

function refused(asked: Promise<unknown>): Promise<unknown> {
  return asked.then(
    () => {
      throw new Error("It was not refused.");
    },
    (error) => error,
  );
}
