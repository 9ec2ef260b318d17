import { describe, it } from "vitest";
import { CreateGeneration } from "../../src/contract/generation.ts";
import { parseCatalogue } from "../../src/worker/runner/catalogue.ts";
import { resolve } from "../../src/worker/services/resolve.ts";
import { CATALOGUE } from "../fakes/runner-catalogue.ts";

const [entry] = CATALOGUE.results;
if (!entry) throw new Error("there is no model");

/** What our runner's model becomes when it tells this besides. */
const told = (limits: object, more: object = {}) => {
  const vignette = { ...entry.vignette, ...more, limits: { ...entry.vignette.limits, ...limits } };
  return parseCatalogue({ results: [{ ...entry, vignette }] });
};
const limitsOf = (...args: Parameters<typeof told>) => told(...args)[0]?.limits;

describe("the tokens that a model of our runner reads", () => {
  it("are 75 a chunk where it tells chunks, and as many as it says where it tells tokens", ({ expect }) => {
    expect(limitsOf({ max_prompt_chunks: 4 })).toMatchObject({ max_prompt_tokens: 300 });
    expect(limitsOf({ max_prompt_chunks: 4 })).not.toHaveProperty("max_prompt_chunks");
    expect(limitsOf({ max_prompt_chunks: 4, max_prompt_tokens: 70 })).toMatchObject({ max_prompt_tokens: 70 });
    expect(limitsOf({ max_prompt_chunks: undefined })).toMatchObject({ max_prompt_tokens: null });
  });

  it("are not known where names of textual inversions count as one each", ({ expect }) => {
    expect(limitsOf({ max_prompt_chunks: 4 }, { embeddings: [] })).toMatchObject({ max_prompt_tokens: 300 });
    expect(limitsOf({ max_prompt_chunks: 4 }, { embeddings: ["<my-cat>"] })).toMatchObject({ max_prompt_tokens: null });
  });

  it("are what a prompt that surely has more is refused by", ({ expect }) => {
    const models = told({ max_prompt_chunks: 1 });
    const ask = (prompt: string) => resolve(CreateGeneration.parse({ prompt }), models, 1);
    expect(ask("cat ".repeat(75)).model).toBe("miniature");
    expect(() => ask("cat ".repeat(76))).toThrow("This model reads 75 tokens, and this has more; shorten it.");
  });
});
