import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { Place, ROOT } from "./launch.ts";

const PROMPT = "three little purple cats have fallen asleep on the beach";
const SEED = "3";

interface Judgement {
  place: { label: string };
  objects: { object: string; colour: string | null; count: number; action: string | null }[];
}

describe("npm run imagine", { timeout: 600_000 }, () => {
  let place: Place;
  beforeEach(async () => {
    place = await Place.create();
  });
  afterEach(async () => {
    await place.leave();
  });

  it("draws what the sentence says, as the judge sees it, and stops what it started", async () => {
    const file = join(place.state, "cats.png");
    const launch = place.launch(["imagine", PROMPT, "-o", file, "--seed", SEED]);
    assert.equal(await launch.ended, 0, launch.stderr);
    assert.equal(launch.stdout, `${file}\n`);
    assert.match(launch.stderr, /drawing .*\d+\/25/);
    await place.empty();

    const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, "scripts/vignette.mjs"), "judge", file]);
    const seen = JSON.parse(stdout) as Judgement;
    assert.equal(seen.place.label, "beach");
    const [cats, ...others] = seen.objects;
    assert.deepEqual(
      { object: cats?.object, count: cats?.count, colour: cats?.colour, action: cats?.action },
      { object: "cat", count: 3, colour: "purple", action: "sleeping" },
    );
    assert.deepEqual(others, []);
  });

  it("uses the instance that runs, whose key it never shows", async () => {
    const { launch, instance } = await place.start();
    const file = join(place.state, "robot.webp");
    const imagine = place.launch([
      "imagine",
      "a blue robot in the snow",
      "-o",
      file,
      "--steps",
      "3",
      "--no-adapter",
      "--json",
    ]);
    assert.equal(await imagine.ended, 0, imagine.stderr);
    const generation = JSON.parse(imagine.stdout);
    assert.equal(generation.adapter, null);
    assert.equal(generation.parameters.num_inference_steps, 3);
    assert.deepEqual(generation.files, [file]);
    assert.equal((await readFile(file)).subarray(8, 12).toString(), "WEBP");
    assert.equal(`${imagine.stdout}${imagine.stderr}`.includes(instance.api_key), false);

    // The picture says how it was made, and the same comes out again: the first had no seed, so it is drawn anew.
    const again = join(place.state, "again.webp");
    const like = place.launch(["imagine", "--like", file, "-o", again, "--json"]);
    assert.equal(await like.ended, 0, like.stderr);
    assert.equal(JSON.parse(like.stdout).cached, false);
    const inspect = [join(ROOT, "scripts/vignette.mjs"), "inspect"];
    const recipes = await Promise.all(
      [file, again].map(async (picture) => {
        const { stdout } = await promisify(execFile)(process.execPath, [...inspect, picture]);
        return (JSON.parse(stdout) as { recipe: Record<string, unknown> }).recipe;
      }),
    );
    assert.deepEqual(recipes[1], recipes[0]);
    assert.ok((await readFile(again)).equals(await readFile(file)), "other bytes, so other pixels");
    assert.equal(like.stderr.includes("has changed"), false);
    assert.equal(recipes[0]?.prompt, "a blue robot in the snow");
    assert.equal(recipes[0]?.seed, generation.images[0].seed);

    const wrong = place.launch(["imagine", "a robot", "--steps", "many"]);
    assert.equal(await wrong.ended, 2);
    assert.match(wrong.stderr, /--steps is "many"; it must be a number\.\n$/);
    const refused = place.launch(["imagine", "a robot", "--width", "130"]);
    assert.equal(await refused.ended, 1);
    assert.match(refused.stderr, /^--width: /m);

    launch.process.kill("SIGTERM");
    assert.equal(await launch.ended, 0);
  });

  it("says that nothing answers at VIGNETTE_URL", async () => {
    const env = { VIGNETTE_URL: "http://127.0.0.1:9", VIGNETTE_API_KEY: "vgt_none" };
    const launch = place.launch(["imagine", "a robot"], env);
    assert.equal(await launch.ended, 3);
    assert.match(launch.stderr, /http:\/\/127\.0\.0\.1:9 does not answer\. Is Vignette running there\?\n$/);
  });

  it("says in JSON what the launcher finds wrong, where --json asks for it", async () => {
    const env = { VIGNETTE_URL: "nowhere", VIGNETTE_API_KEY: "vgt_none" };
    const launch = place.launch(["imagine", "a robot", "--json"], env);
    assert.equal(await launch.ended, 2);
    assert.equal(launch.stdout, "");
    const { code, detail } = JSON.parse(launch.stderr);
    assert.equal(code, "usage");
    assert.match(detail, /^VIGNETTE_URL is "nowhere"/);
  });
});
