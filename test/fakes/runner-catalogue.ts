/** What our runner answers to `GET /v1/models`. */
export const CATALOGUE = {
  next: null,
  previous: null,
  results: [
    {
      owner: "vignette",
      name: "miniature",
      url: "http://runner.test/v1/models/vignette/miniature",
      description: "A small model for tests.",
      visibility: "private",
      latest_version: {
        id: "v1",
        created_at: "2026-11-01T00:00:00Z",
        cog_version: "vignette-0.1.0",
        openapi_schema: {},
      },
      vignette: {
        default: true,
        version: "v1",
        adapters: [{ id: "sur", default: true, description: "SUR-adapter" }],
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
          max_prompt_chunks: 4,
        },
        schedulers: ["DDIMScheduler", "EulerDiscreteScheduler"],
        device: "cpu",
      },
    },
  ],
};
