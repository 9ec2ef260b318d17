import { OutputFormat } from "./generation.ts";
import { z } from "./zod.ts";

export const Adapter = z
  .object({ id: z.string(), default: z.boolean(), description: z.string() })
  .openapi("Adapter", { description: "A network between the text encoder and the UNet." });

export const ModelDefaults = z
  .object({
    width: z.int(),
    height: z.int(),
    num_inference_steps: z.int(),
    guidance_scale: z.number(),
    scheduler: z.string(),
    adapter_scale: z.number(),
    negative_prompt: z.string(),
  })
  .openapi("ModelDefaults");

export const ModelLimits = z
  .object({
    min_width: z.int(),
    max_width: z.int(),
    min_height: z.int(),
    max_height: z.int(),
    multiple_of: z.int(),
    max_steps: z.int(),
    max_images: z.int(),
    max_prompt_chars: z.int(),
    max_prompt_tokens: z
      .int()
      .nullable()
      .openapi({ description: "Of the model's own tokenizer, where its runner tells." }),
  })
  .openapi("ModelLimits");

export const Model = z
  .object({
    id: z.string(),
    object: z.literal("model"),
    default: z.boolean(),
    description: z.string(),
    version: z.string(),
    adapters: z.array(Adapter),
    schedulers: z.array(z.string()),
    output_formats: z.array(OutputFormat),
    defaults: ModelDefaults,
    limits: ModelLimits,
  })
  .openapi("Model");
export type Model = z.infer<typeof Model>;

export const ModelList = z.object({ data: z.array(Model) }).openapi("ModelList", {
  example: {
    data: [
      {
        id: "miniature",
        object: "model",
        default: true,
        description: "A small latent diffusion model that draws flat scenes.",
        version: "5f0c3d9e7a2b",
        adapters: [{ id: "sur", default: true, description: "Reads sentences." }],
        schedulers: ["DDIMScheduler", "EulerDiscreteScheduler"],
        output_formats: ["png", "jpeg", "webp"],
        defaults: {
          width: 128,
          height: 128,
          num_inference_steps: 25,
          guidance_scale: 4,
          scheduler: "DDIMScheduler",
          adapter_scale: 1,
          negative_prompt: "",
        },
        limits: {
          min_width: 64,
          max_width: 256,
          min_height: 64,
          max_height: 256,
          multiple_of: 8,
          max_steps: 100,
          max_images: 4,
          max_prompt_chars: 1000,
          max_prompt_tokens: 300,
        },
      },
    ],
  },
});
export type ModelList = z.infer<typeof ModelList>;
