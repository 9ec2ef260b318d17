import { OUTPUT_FORMATS } from "../../contract/generation.ts";
import { Adapter, type Model, ModelDefaults, ModelLimits } from "../../contract/models.ts";
import { z } from "../../contract/zod.ts";
import type { DeclaredModel } from "./settings.ts";

/** How many tokens a CLIP encoder reads at once, beside begin and end. */
const CHUNK_TOKENS = 75;

/** What our runner adds to each entry of Replicate's `GET /v1/models`. */
const Entry = z.object({
  name: z.string(),
  description: z
    .string()
    .nullish()
    .transform((text) => text ?? ""),
  vignette: z.object({
    default: z.boolean(),
    version: z.string(),
    adapters: z.array(
      Adapter.extend({
        description: z
          .string()
          .nullish()
          .transform((text) => text ?? ""),
      }),
    ),
    defaults: ModelDefaults.extend({
      negative_prompt: z
        .string()
        .nullish()
        .transform((text) => text ?? ""),
    }),
    limits: ModelLimits.extend({
      max_prompt_tokens: z
        .int()
        .nullish()
        .transform((tokens) => tokens ?? null),
      max_prompt_chunks: z.int().nullish(),
    }),
    embeddings: z.array(z.string()).nullish(),
    schedulers: z.array(z.string()).min(1),
  }),
});

const Page = z.object({ results: z.array(Entry).min(1) });

/** The runner's models in the API's own terms. @throws when the answer is not such a list */
export function parseCatalogue(body: unknown): Model[] {
  return Page.parse(body).results.map(({ name, description, vignette }) => ({
    id: name,
    object: "model",
    default: vignette.default,
    description,
    version: vignette.version,
    adapters: vignette.adapters,
    schedulers: vignette.schedulers,
    output_formats: [...OUTPUT_FORMATS],
    defaults: vignette.defaults,
    limits: limitsOf(vignette),
  }));
}

function limitsOf({ limits, embeddings }: z.infer<typeof Entry>["vignette"]): Model["limits"] {
  const { max_prompt_chunks: chunks, ...told } = limits;
  // A textual inversion's name is one token to the runner, and may count as several here.
  const tokens = chunks && !embeddings?.length ? chunks * CHUNK_TOKENS : null;
  return { ...told, max_prompt_tokens: told.max_prompt_tokens ?? tokens };
}

/** A model of the configuration in the API's own terms. @param version where the configuration names none */
export function declared({ inputs: _, ...model }: DeclaredModel, version: string): Model {
  return { ...model, object: "model", version: model.version ?? version };
}
