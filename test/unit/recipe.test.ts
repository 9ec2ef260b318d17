import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { recipeOf } from "../../src/cli/recipe.ts";

const RECIPE = {
  prompt: "two cats & <dogs>, 猫 &amp; ]]>",
  negative_prompt: "",
  model: "miniature",
  adapter: "sur",
  adapter_scale: 0.5,
  loras: [],
  width: 128,
  height: 96,
  num_inference_steps: 25,
  guidance_scale: 4,
  guidance_until: 1,
  cache_interval: 1,
  scheduler: "DDIMScheduler",
  seed: 7,
  deterministic: false,
  model_version: "00",
};

describe("the recipe in a picture", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vignette-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** As the runner writes it (`vignette/provenance/xmp.py`), between bytes that are no text. */
  const write = async (recipe: unknown, json = JSON.stringify(recipe)) => {
    const escaped = json.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
    const ascii = escaped.replace(/[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
    const noise = Buffer.from([0x89, 0xff, 0xfe, 0xc3, 0x00, 0x80]);
    const file = join(folder, "picture.png");
    const xmp = Buffer.from(`<x:xmpmeta><vignette:recipe>${ascii}</vignette:recipe></x:xmpmeta>`);
    await writeFile(file, Buffer.concat([noise, xmp, noise]));
    return file;
  };

  it("asks for the same picture", async ({ expect }) => {
    const { loras, guidance_until, cache_interval, deterministic, model_version, ...asked } = RECIPE;
    expect(await recipeOf(await write(RECIPE))).toEqual(asked);
    // As pictures say that were drawn before there were savings.
    expect(await recipeOf(await write({ ...asked, loras }))).toEqual(asked);
  });

  it("without an adapter has no scale", async ({ expect }) => {
    const recipe = await recipeOf(await write({ ...RECIPE, adapter: null, adapter_scale: null }));
    expect(recipe.adapter).toBeNull();
    expect(recipe).not.toHaveProperty("adapter_scale");
  });

  it("that is missing, hidden, broken or beyond the API is a sentence", async ({ expect }) => {
    const { prompt, ...hashed } = RECIPE;
    await expect(recipeOf(await write({ ...hashed, prompt_sha256: "00" }))).rejects.toThrow(/by a hash only/);
    await expect(recipeOf(await write({ ...RECIPE, seed: "7" }))).rejects.toThrow(/cannot be read \(seed\)/);
    await expect(recipeOf(await write(null, "{"))).rejects.toThrow(/cannot be read\./);
    await expect(recipeOf(await write({ ...RECIPE, loras: [{ id: "ink" }] }))).rejects.toThrow(/LoRAs/);
    await expect(recipeOf(await write({ ...RECIPE, guidance_until: 0.5 }))).rejects.toThrow(/guidance_until/);
    await expect(recipeOf(await write({ ...RECIPE, cache_interval: 3 }))).rejects.toThrow(/cache_interval/);
    await writeFile(join(folder, "other.png"), Buffer.from([1, 2, 3]));
    await expect(recipeOf(join(folder, "other.png"))).rejects.toThrow(/carries no recipe/);
    await expect(recipeOf(join(folder, "none.png"))).rejects.toThrow(/ENOENT/);
  });
});
