import { OUTPUT_FORMATS } from "../../src/contract/generation.ts";
import type { Model } from "../../src/contract/models.ts";

const shared = {
  object: "model" as const,
  version: "v1",
  adapters: [{ id: "sur", default: true, description: "SUR-adapter" }],
  schedulers: ["DDIMScheduler"],
  output_formats: [...OUTPUT_FORMATS],
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
    max_prompt_tokens: null,
  },
};

/** What the fake API answers to `GET /v1/models`. */
export const CATALOGUE: Model[] = [
  { ...shared, id: "miniature", default: true, description: "Flat day colours." },
  { ...shared, id: "miniature-ink", default: false, description: "Ink." },
];
