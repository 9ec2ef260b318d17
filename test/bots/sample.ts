import type { Generation } from "../../src/contract/generation.ts";
import { newId } from "../../src/contract/ids.ts";
import type { Model } from "../../src/contract/models.ts";
import { CATALOGUE } from "../fakes/catalogue.ts";

export const MODELS: Model[] = CATALOGUE;
export const CATS = "three purple cats fell asleep on the beach";

/** A generation as the API gives it. */
export function generation(fields: Partial<Generation> = {}): Generation {
  const id = fields.id ?? newId("gen");
  return {
    id,
    object: "generation",
    status: "succeeded",
    created_at: "2026-11-01T12:00:00.000Z",
    started_at: "2026-11-01T12:00:00.100Z",
    completed_at: "2026-11-01T12:00:02.000Z",
    model: "miniature",
    adapter: { id: "sur", scale: 1 },
    prompt: "two purple cats fell asleep on the beach",
    negative_prompt: null,
    parameters: {
      width: 128,
      height: 128,
      num_inference_steps: 25,
      guidance_scale: 4,
      scheduler: "DDIMScheduler",
      seed: 7,
      num_images: 1,
      output_format: "png",
    },
    reading: [{ tag: "2cat", score: 0.91 }],
    notice: null,
    progress: null,
    images: [
      {
        index: 0,
        url: "https://vignette.test/i/abc.png",
        width: 128,
        height: 128,
        content_type: "image/png",
        sha256: "0".repeat(64),
        seed: 7,
        flagged: false,
        share_url: null,
      },
    ],
    error: null,
    cached: false,
    metrics: { queue_ms: 100, run_ms: 1800, total_ms: 2000 },
    user: "discord:42",
    metadata: {},
    urls: { self: `https://vignette.test/v1/generations/${id}`, cancel: "", events: "" },
    ...fields,
  };
}
