import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { Webhook } from "standardwebhooks";
import { Client, ClientError } from "../../src/client/index.ts";
import { type CreateGenerationInput, type Image, isTerminal } from "../../src/contract/index.ts";
import type { Instance } from "./launch.ts";
import { pixelsOf } from "./pixels.ts";
import { receiver } from "./receiver.ts";
import { withVignette } from "./running.ts";

const PROMPT = "three little purple cats have fallen asleep on the beach";

/** One running Vignette, spoken to through the typed client; every picture is really drawn. */
describe("the API of a running Vignette", { timeout: 600_000 }, () => {
  let instance: Instance;
  let client: Client;
  withVignette((running) => {
    ({ instance, client } = running);
  });

  const fails = (status: number, code: string) => (error: unknown) => {
    assert.ok(error instanceof ClientError, String(error));
    assert.deepEqual([error.status, error.code], [status, code]);
    return true;
  };

  const draw = async (request: CreateGenerationInput) => {
    const { id } = await client.generations.create(request, { wait: 60 });
    return client.generations.wait(id);
  };
  const pixels = async (image: Image | undefined) => {
    assert.ok(image);
    return pixelsOf(await client.image(image));
  };

  it("draws, tells its progress in order, and serves the image to anyone who has its URL", async () => {
    // Progress comes at most twice a second: how often it is told depends on how quick the machine is.
    const { id } = await client.generations.create({ prompt: PROMPT, seed: 11, num_inference_steps: 100 });
    const fractions: number[] = [];
    let last: string | undefined;
    for await (const event of client.generations.events(id)) {
      last = event.type;
      if (event.type === "progress" && event.data.queue_position === null) fractions.push(event.data.fraction);
    }
    assert.equal(last, "completed");
    assert.ok(fractions.length > 0, "steps are seen");
    assert.deepEqual(
      fractions,
      [...fractions].sort((a, b) => a - b),
    );

    const generation = await client.generations.get(id);
    assert.equal(generation.status, "succeeded");
    assert.equal(generation.parameters.seed, 11);
    const [image] = generation.images;
    assert.ok(image);
    const bytes = await client.image(image);
    assert.equal(createHash("sha256").update(bytes).digest("hex"), image.sha256);
    assert.deepEqual([...bytes.subarray(1, 4)], [0x50, 0x4e, 0x47]);
    const { data } = await client.generations.list({ limit: 1 });
    assert.deepEqual(
      data.map((entry) => entry.id),
      [id],
    );

    await client.generations.delete(id);
    await assert.rejects(client.generations.get(id), fails(404, "not_found"));
    assert.equal((await fetch(image.url)).status, 404);
  });

  it("draws the same picture for the same seed, another one without the adapter", async () => {
    const request = { prompt: PROMPT, seed: 5, num_inference_steps: 4 };
    const drawn = [];
    for (const adapter of [undefined, undefined, null]) {
      const { images } = await draw(adapter === undefined ? request : { ...request, adapter });
      drawn.push({ sha256: images[0]?.sha256, pixels: await pixels(images[0]) });
    }
    assert.equal(drawn[0]?.sha256, drawn[1]?.sha256);
    assert.notEqual(drawn[0]?.pixels, drawn[2]?.pixels);
  });

  it("draws in each art style, with the adapter and without it, and reads the sentence alike in both", async () => {
    for (const adapter of ["sur", null]) {
      const drawn = [];
      for (const model of ["miniature", "miniature-ink"]) {
        const generation = await draw({ prompt: PROMPT, seed: 5, num_inference_steps: 4, model, adapter });
        assert.equal(generation.status, "succeeded", generation.error?.message);
        assert.deepEqual([generation.model, generation.adapter?.id ?? null], [model, adapter]);
        drawn.push({
          tags: generation.reading?.map(({ tag }) => tag),
          pixels: await pixels(generation.images[0]),
        });
      }
      const [day, ink] = drawn;
      assert.ok(day?.tags?.length);
      assert.deepEqual(ink?.tags, day.tags);
      assert.notEqual(ink?.pixels, day.pixels, `one picture in both styles, adapter ${adapter}`);
    }
  });

  it("cancels a generation under way, and cancelling again changes nothing", async () => {
    const { id } = await client.generations.create({ prompt: PROMPT, num_inference_steps: 100 });
    assert.equal((await client.generations.cancel(id)).status, "canceled");
    assert.equal((await client.generations.cancel(id)).status, "canceled");
    assert.equal((await client.generations.wait(id)).status, "canceled");
  });

  it("names the field that is wrong", async () => {
    await assert.rejects(client.generations.create({ prompt: PROMPT, width: 130 }), (error) => {
      assert.ok(error instanceof ClientError);
      assert.equal(error.problem?.errors?.[0]?.pointer, "#/width");
      return true;
    });
  });

  it("makes keys that can do what they may and nothing else, until they are revoked", async () => {
    const { id, key } = await client.keys.create({ name: "reader", scopes: ["read"] });
    const reader = new Client({ url: instance.url, apiKey: key });
    await reader.generations.list();
    await assert.rejects(reader.generations.create({ prompt: PROMPT }), fails(403, "scope_missing"));
    await client.keys.revoke(id);
    await assert.rejects(reader.generations.list(), fails(401, "key_revoked"));
  });

  it("ends every generation when the runner is killed in the middle of them", async () => {
    const requests = [1, 2, 3].map((seed) => ({ prompt: PROMPT, seed, num_inference_steps: 60 }));
    const created = await Promise.all(requests.map((request) => client.generations.create(request)));
    for await (const event of client.generations.events(created[0]?.id ?? ""))
      if (event.type === "progress" && event.data.step > 0) break;
    process.kill(instance.pids.runner, "SIGKILL");
    for (const { id } of created) {
      const { status, error, images } = await client.generations.wait(id);
      assert.ok(isTerminal(status), `${id} is ${status}`);
      if (status === "succeeded") assert.equal(images.length, 1);
      else assert.ok(error?.message, `${id} ended as ${status} with a sentence`);
    }
  });

  it("tells a server on this machine of the end, signed so that Standard Webhooks' library accepts it", async (test) => {
    const { url: webhook_url, message } = await receiver(test);
    const { secret } = await client.webhookEndpoints.defaultSecret();
    const { id } = await client.generations.create({ prompt: "a red bird", num_inference_steps: 2, webhook_url });
    const { body, headers } = await message;
    const event = new Webhook(secret).verify(body, headers) as {
      type: string;
      data: { id: string; images: string[] };
    };
    assert.equal(event.type, "generation.succeeded");
    assert.equal(event.data.id, id);
    assert.equal((await fetch(event.data.images[0] ?? "")).status, 200);
  });
});
