// Examples of what several answers carry, for the API's description; the others stand beside their schemas.

/** A picture's address has 128 random bits in hex. */
const IMAGE = "https://vignette.example/i/5f0c3d9e7a2b4c6d8e1f0a9b8c7d6e5f.png";
const ID = "gen_01jdd5m0000000000000000000";
const SELF = `https://vignette.example/v1/generations/${ID}`;

/** A generation that has succeeded. */
export const GENERATION_EXAMPLE = {
  id: ID,
  object: "generation",
  status: "succeeded",
  created_at: "2026-11-24T12:00:00.000Z",
  started_at: "2026-11-24T12:00:00.100Z",
  completed_at: "2026-11-24T12:00:00.900Z",
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
  reading: [
    { tag: "purple", score: 0.97 },
    { tag: "cat", score: 0.94 },
  ],
  notice: null,
  progress: null,
  images: [
    {
      index: 0,
      url: IMAGE,
      width: 128,
      height: 128,
      content_type: "image/png",
      sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      seed: 7,
      flagged: false,
      share_url: null,
    },
  ],
  error: null,
  cached: false,
  metrics: { queue_ms: 100, run_ms: 760, total_ms: 900 },
  user: null,
  metadata: {},
  urls: { self: SELF, cancel: `${SELF}/cancel`, events: `${SELF}/events` },
};

const UNDRAWN = { reading: null, images: [], started_at: null };

/** The same as it is accepted. */
export const QUEUED_EXAMPLE = {
  ...GENERATION_EXAMPLE,
  ...UNDRAWN,
  status: "queued",
  completed_at: null,
  progress: { fraction: 0, step: 0, steps: 25, queue_position: null, eta_seconds: null },
  metrics: { queue_ms: null, run_ms: null, total_ms: null },
};

/** The same, had it been canceled before it was begun. */
export const CANCELED_EXAMPLE = {
  ...GENERATION_EXAMPLE,
  ...UNDRAWN,
  status: "canceled",
  metrics: { queue_ms: null, run_ms: null, total_ms: 900 },
};

/** What webhooks say of it. */
export const GENERATION_MESSAGE_EXAMPLE = {
  type: "generation.succeeded" as const,
  timestamp: "2026-11-24T12:00:02.000Z",
  data: { id: ID, status: "succeeded", urls: { self: SELF }, images: [IMAGE], user: null, metadata: {} },
};

/** A secret that says in base64 that it is an example. */
export const SECRET_EXAMPLE = "whsec_RVhBTVBMRS1FWEFNUExFLUVYQU1QTEUtRVhBTVBMRSE=";
