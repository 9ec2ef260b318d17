import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import OpenAI, {
  type APIError,
  AuthenticationError,
  BadRequestError,
  PermissionDeniedError,
  RateLimitError,
} from "openai";
import type { Client } from "../../src/client/index.ts";
import type { Instance } from "./launch.ts";
import { withVignette } from "./running.ts";

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** OpenAI's own client against a running Vignette over HTTP; every picture is really drawn. */
describe("the official openai SDK", { timeout: 240_000 }, () => {
  let instance: Instance;
  let client: Client;
  withVignette((running) => {
    ({ instance, client } = running);
  });

  const sdk = (apiKey = instance.api_key) => new OpenAI({ apiKey, baseURL: `${instance.url}/v1`, maxRetries: 0 });
  const newest = async () => (await client.generations.list({ limit: 1 })).data[0];

  async function refused(asked: Promise<unknown>): Promise<APIError> {
    return asked.then(
      () => assert.fail("it was not refused"),
      (error) => error,
    );
  }

  it("lists the models", async () => {
    const ids: string[] = [];
    for await (const { id } of sdk().models.list()) ids.push(id);
    assert.deepEqual(ids, ["miniature", "miniature-ink"]);
  });

  it("gets pictures by URL", async () => {
    const asked = sdk().images.generate({ prompt: "two purple cats in the snow", n: 2, quality: "low", user: "ada" });
    const { data, request_id } = await asked.withResponse();
    const urls = (data.data ?? []).map(({ url }) => url ?? "");
    assert.equal(new Set(urls).size, 2);
    for (const url of urls) {
      const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
      assert.deepEqual(bytes.subarray(0, 8), PNG);
    }
    assert.equal(data.output_format, "png");
    assert.match(request_id ?? "", /^req_/);
    assert.equal((await newest())?.user, "ada");
  });

  it("gets the bytes themselves as base64", async () => {
    const prompt = "three owls";
    const { data } = await sdk().images.generate({ prompt, quality: "low", response_format: "b64_json" });
    const bytes = Buffer.from(data?.[0]?.b64_json ?? "", "base64");
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    assert.equal(sha256, (await newest())?.images[0]?.sha256);
  });

  it("sees the picture become clear, and then whole", async () => {
    const asked = { prompt: "four red foxes", stream: true, partial_images: 2 } as const;
    const events: OpenAI.ImageGenStreamEvent[] = [];
    for await (const event of await sdk().images.generate(asked)) events.push(event);
    const last = events.pop();
    assert.equal(last?.type, "image_generation.completed");
    assert.deepEqual(Buffer.from(last.b64_json, "base64").subarray(0, 8), PNG);
    // How many come before depends on how quick the machine is.
    assert.ok(events.length <= 2);
    for (const [at, event] of events.entries()) {
      assert.ok(event.type === "image_generation.partial_image");
      assert.equal(event.partial_image_index, at);
      assert.ok(event.b64_json.length > 0);
    }
  });

  it("throws its own classes, with the field at fault", async () => {
    const wrong = await refused(sdk().images.generate({ prompt: "an owl", size: "100x100" as "auto" }));
    assert.ok(wrong instanceof BadRequestError);
    assert.deepEqual([wrong.status, wrong.param, wrong.code], [400, "size", "invalid_request"]);
    assert.match(wrong.requestID ?? "", /^req_/);
    const stranger = await refused(sdk("vgt_wrong").images.generate({ prompt: "an owl" }));
    assert.ok(stranger instanceof AuthenticationError);
    assert.equal(stranger.code, "key_malformed");
    const { key: reader } = await client.keys.create({ name: "reader", scopes: ["read"] });
    assert.ok((await refused(sdk(reader).images.generate({ prompt: "an owl" }))) instanceof PermissionDeniedError);
    const limits = { images_per_day: 1 };
    const { key: limited } = await client.keys.create({ name: "limited", scopes: ["generate"], limits });
    await sdk(limited).images.generate({ prompt: "one owl", quality: "low" });
    const many = await refused(sdk(limited).images.generate({ prompt: "one owl too many", quality: "low" }));
    assert.ok(many instanceof RateLimitError);
    assert.equal(many.code, "quota_exceeded");
    assert.match(many.headers?.get("Retry-After") ?? "", /^\d+$/);
  });
});
