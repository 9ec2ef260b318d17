import assert from "node:assert/strict";
import { describe, it } from "node:test";
import Replicate, { parseProgressFromLogs, validateWebhook } from "replicate";
import type { Instance } from "./launch.ts";
import { receiver } from "./receiver.ts";
import { withVignette } from "./running.ts";

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Replicate's own client against the runner, as a customer who knows only that client would use it. */
describe("the official replicate SDK", { timeout: 240_000 }, () => {
  let instance: Instance;
  let replicate: Replicate;
  withVignette((running) => {
    ({ instance } = running);
    replicate = new Replicate({ auth: instance.runner_token, baseUrl: `${instance.runner_url}/v1` });
  });

  const download = async (url: string) => {
    const reply = await fetch(url, { headers: { authorization: `Bearer ${instance.runner_token}` } });
    assert.equal(reply.status, 200);
    return Buffer.from(await reply.arrayBuffer());
  };

  it("finds the models", async () => {
    const page = await replicate.models.list();
    const names = page.results.map(({ owner, name }) => `${owner}/${name}`);
    assert.ok(names.includes("vignette/miniature"), names.join());
    const model = await replicate.models.get("vignette", "miniature");
    assert.ok(model.latest_version?.openapi_schema, "run() with a version needs the schema");
  });

  it("run() draws by name and by version, the same seed giving the same bytes", async () => {
    const input = { prompt: "two purple cats fell asleep on the beach", seed: 7, num_inference_steps: 4 };
    const [byName] = (await replicate.run("vignette/miniature", { input })) as [string];
    const { latest_version } = await replicate.models.get("vignette", "miniature");
    const [byVersion] = (await replicate.run(`vignette/miniature:${latest_version?.id}`, { input })) as [string];
    const [first, second] = await Promise.all([download(byName), download(byVersion)]);
    assert.deepEqual(first.subarray(0, 8), PNG);
    assert.ok(first.equals(second));
    // The address opens its file by itself, and by its code alone.
    assert.ok(Buffer.from(await (await fetch(byName)).arrayBuffer()).equals(first));
    assert.equal((await fetch(byName.split("?")[0] ?? "")).status, 401);
  });

  it("reads the progress out of the logs", async () => {
    const seen: number[] = [];
    await replicate.run(
      "vignette/miniature",
      { input: { prompt: "a red fox in the snow", num_inference_steps: 20 }, wait: { mode: "poll", interval: 20 } },
      (prediction) => {
        const progress = parseProgressFromLogs(prediction);
        if (progress) seen.push(progress.percentage);
      },
    );
    assert.equal(seen.at(-1), 1);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
  });

  it("waits for a prediction that was begun before", async () => {
    const begun = await replicate.predictions.create({
      model: "vignette/miniature",
      // Enough for it to be still under way when it is looked at.
      input: { prompt: "a green frog", num_inference_steps: 25 },
    });
    const looked: string[] = [];
    const ended = await replicate.wait(begun, { interval: 20 }, async ({ status }) => {
      looked.push(status);
      return false;
    });
    assert.equal(ended.status, "succeeded");
    assert.deepEqual((await download(ended.output[0])).subarray(0, 8), PNG);
    assert.ok(looked.length > 0);
    assert.ok(looked.every((status) => ["starting", "processing"].includes(status)));
    // One that has ended is answered as it is.
    assert.equal(await replicate.wait(ended), ended);
  });

  it("streams the log, the picture and the end", async () => {
    const input = { prompt: "a yellow duck", num_inference_steps: 12 };
    const events: { event: string; data: string }[] = [];
    for await (const { event, data } of replicate.stream("vignette/miniature", { input })) events.push({ event, data });
    const logs = events.filter(({ event }) => event === "logs").map(({ data }) => data);
    assert.match(logs.join(""), /12\/12/);
    assert.deepEqual(
      events.filter(({ event }) => event !== "logs").map(({ event }) => event),
      ["output", "done"],
    );
    const picture = events.find(({ event }) => event === "output")?.data ?? "";
    assert.deepEqual((await download(picture)).subarray(0, 8), PNG);
  });

  it("is told by webhook, whose signature the default secret verifies", async (test) => {
    const { url: webhook, message } = await receiver(test);
    const { id } = await replicate.predictions.create({
      model: "vignette/miniature",
      input: { prompt: "a pink pig", num_inference_steps: 2 },
      webhook,
      webhook_events_filter: ["completed"],
    });
    const { headers, body } = await message;
    const { id: told, status } = JSON.parse(body);
    assert.deepEqual([told, status], [id, "succeeded"]);
    const { key: secret } = await replicate.webhooks.default.secret.get();
    const signed = {
      id: headers["webhook-id"] ?? "",
      timestamp: headers["webhook-timestamp"] ?? "",
      signature: headers["webhook-signature"] ?? "",
      secret,
    };
    assert.equal(await validateWebhook({ ...signed, body }), true);
    assert.equal(await validateWebhook({ ...signed, body: `${body} ` }), false);
    const request = new Request(webhook, { method: "POST", headers, body });
    assert.equal(await validateWebhook(request, secret), true);
  });

  it("cancels", async () => {
    const model = "vignette/miniature";
    const begun = await replicate.predictions.create({
      model,
      input: { prompt: "a slow owl", num_inference_steps: 100 },
    });
    await replicate.predictions.cancel(begun.id);
    assert.equal((await replicate.wait(begun, { interval: 20 })).status, "canceled");
  });

  it("is told what is wrong with an input", async () => {
    const input = { prompt: "an owl", width: 129 };
    await assert.rejects(replicate.run("vignette/miniature", { input }), /422.*width/s);
  });
});
