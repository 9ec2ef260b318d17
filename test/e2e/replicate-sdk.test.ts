import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Replicate, { parseProgressFromLogs } from "replicate";
import { type Instance, type Launch, Place, until } from "./launch.ts";

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Replicate's own client against the runner, as a customer who knows only that client would use it. */
describe("the official replicate SDK", { timeout: 240_000 }, () => {
  let place: Place;
  let launch: Launch;
  let instance: Instance;
  let replicate: Replicate;

  before(async () => {
    place = await Place.create();
    ({ launch, instance } = await place.start());
    replicate = new Replicate({ auth: instance.runner_token, baseUrl: `${instance.runner_url}/v1` });
  });
  after(async () => {
    launch.process.kill("SIGTERM");
    await launch.ended;
    await place.leave();
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
    assert.equal((await fetch(byName)).status, 401);
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

  it("cancels", async () => {
    const model = "vignette/miniature";
    const { id } = await replicate.predictions.create({
      model,
      input: { prompt: "a slow owl", num_inference_steps: 100 },
    });
    await replicate.predictions.cancel(id);
    await until(async () => (await replicate.predictions.get(id)).status === "canceled");
  });

  it("is told what is wrong with an input", async () => {
    const input = { prompt: "an owl", width: 129 };
    await assert.rejects(replicate.run("vignette/miniature", { input }), /422.*width/s);
  });
});
