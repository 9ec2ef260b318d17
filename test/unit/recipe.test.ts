import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { main } from "../../src/cli/main.ts";
import { otherWeights, recipeOf } from "../../src/cli/recipe.ts";
import { generation, MODELS } from "../bots/sample.ts";
import { hostOf, serve } from "./cli-host.ts";

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
    expect(await recipeOf(await write(RECIPE))).toEqual({ request: asked, modelVersion: "00" });
    // As pictures say that were drawn before there were savings.
    expect(await recipeOf(await write({ ...asked, loras }))).toEqual({ request: asked, modelVersion: undefined });
  });

  it("says when other weights would draw it now", async ({ expect }) => {
    const like = await recipeOf(await write(RECIPE));
    const models = (version: string) => ({ data: MODELS.map((model) => ({ ...model, version })) });
    expect(otherWeights(like, models("01"))).toMatch(/^The model miniature has changed/);
    expect(otherWeights(like, models("00"))).toBeNull();
    expect(otherWeights({ ...like, modelVersion: undefined }, models("01"))).toBeNull();
    // Which the API will say in its own words.
    expect(otherWeights(like, { data: [] })).toBeNull();
  });

  it("is drawn again by imagine --like, with that warning for the same model only", async ({ expect }) => {
    const file = await write(RECIPE);
    const done = generation({ images: [], reading: null });
    const edge = await serve((request, response) => {
      if (request.url === "/v1/models") return response.end(JSON.stringify({ data: MODELS }));
      if (!request.url?.endsWith("/events")) return response.end(JSON.stringify(done));
      response.setHeader("Content-Type", "text/event-stream");
      return response.end(`id: 1\nevent: completed\ndata: ${JSON.stringify(done)}\n\n`);
    });
    const told = async (...more: string[]) => {
      const { host, said } = hostOf(edge);
      expect(await main(["imagine", "--like", file, ...more], host)).toBe(0);
      return said.err;
    };
    expect(await told()).toBe(
      "The model miniature has changed since that picture was drawn, so this will be another one.\n",
    );
    expect(await told("--model", "another")).toBe("");
  });

  it("without an adapter has no scale", async ({ expect }) => {
    const { request } = await recipeOf(await write({ ...RECIPE, adapter: null, adapter_scale: null }));
    expect(request.adapter).toBeNull();
    expect(request).not.toHaveProperty("adapter_scale");
  });

  it("that is missing, hidden, broken or beyond the API is a sentence", async ({ expect }) => {
    const { prompt, ...hashed } = RECIPE;
    await expect(recipeOf(await write({ ...hashed, prompt_sha256: "00" }))).rejects.toThrow(/by a hash only/);
    await expect(recipeOf(await write({ ...RECIPE, seed: "7" }))).rejects.toThrow(/cannot be read \(seed\)/);
    await expect(recipeOf(await write(null, "{"))).rejects.toThrow(/cannot be read\./);
    await expect(recipeOf(await write({ ...RECIPE, loras: [{ id: "ink" }] }))).rejects.toThrow(/LoRAs/);
    await expect(recipeOf(await write({ ...RECIPE, guidance_until: 0.5 }))).rejects.toThrow(/guidance_until/);
    await expect(recipeOf(await write({ ...RECIPE, cache_interval: 3 }))).rejects.toThrow(/cache_interval/);
    await expect(recipeOf(await write({ ...RECIPE, deterministic: true }))).rejects.toThrow(/deterministic/);
    await writeFile(join(folder, "other.png"), Buffer.from([1, 2, 3]));
    await expect(recipeOf(join(folder, "other.png"))).rejects.toThrow(/carries no recipe/);
    await expect(recipeOf(join(folder, "none.png"))).rejects.toThrow(/ENOENT/);
  });
});
