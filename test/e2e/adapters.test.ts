import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "../../src/client/index.ts";
import { Place } from "./launch.ts";
import { pixelsOf } from "./pixels.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RUNNER = join(ROOT, "gpu-runner");
const run = promisify(execFile);
const PROMPT = "three little purple cats have fallen asleep on the beach";
/** A checkpoint as the published training script leaves it, of the width of the miniature's text encoder. */
const PUBLISHED =
  "import sys, torch; from tests.published import Published; torch.manual_seed(3);" +
  "torch.save(Published(256).state_dict(), sys.argv[1])";

describe("adapters of one's own", { timeout: 600_000 }, () => {
  let place: Place;
  before(async () => {
    place = await Place.create();
  });
  after(() => place.leave());

  const vignette = (...args: string[]) => run(process.execPath, [join(ROOT, "scripts", "vignette.mjs"), ...args]);

  it("are converted, trained, served, and chosen by each request", async () => {
    const at = (...parts: string[]) => join(place.state, ...parts);
    await run(join(RUNNER, ".venv", "bin", "python"), ["-c", PUBLISHED, at("published.pt")], { cwd: RUNNER });
    await vignette("adapter", "convert", at("published.pt"), "--eta", "0.1", "-o", at("published"));
    await vignette("miniature", "surd", "-o", at("surd"), "--count", "4");
    const training = ["--steps", "2", "--align-steps", "1", "--batch-size", "2", "--sample-every", "0"];
    const learning = ["--warmup-steps", "0", "--learning-rate", "1e-2", "--ema-decay", "0"];
    await vignette(
      ...["adapter", "train", "--model", "miniature", "--data", at("surd"), "-o", at("run"), ...training, ...learning],
    );
    const model = `[[models]]\nid = "mine"\npath = ${JSON.stringify(join(RUNNER, "miniature", "weights", "day"))}\n`;
    const adapters = Object.entries({ published: at("published"), trained: at("run", "adapter") }).map(
      ([id, path]) => `[[models.adapters]]\nid = "${id}"\npath = ${JSON.stringify(path)}\n`,
    );
    await writeFile(at("models.toml"), [model, ...adapters].join(""));

    const { instance } = await place.start({ VIGNETTE_MODELS: at("models.toml") });
    const client = new Client({ url: instance.url, apiKey: instance.api_key });
    const drawn = new Set<string>();
    for (const adapter of ["published", "trained", null]) {
      const request = { prompt: PROMPT, model: "mine", adapter, seed: 5, num_inference_steps: 4 };
      const { id } = await client.generations.create(request, { wait: 60 });
      const generation = await client.generations.wait(id);
      assert.equal(generation.status, "succeeded", generation.error?.message);
      assert.equal(generation.adapter?.id ?? null, adapter);
      const [image] = generation.images;
      assert.ok(image);
      drawn.add(pixelsOf(await client.image(image)));
    }
    assert.equal(drawn.size, 3, "each adapter, and none, draws its own picture");
  });
});
