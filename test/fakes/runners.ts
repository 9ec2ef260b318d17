const limits = {
  min_width: 64,
  max_width: 256,
  min_height: 64,
  max_height: 256,
  max_steps: 100,
  max_images: 4,
  max_prompt_chars: 1000,
};
const defaults = { width: 128, height: 128, num_inference_steps: 25, guidance_scale: 4 };
const ours = {
  schedulers: ["DDIMScheduler"],
  defaults: { ...defaults, scheduler: "DDIMScheduler" },
  limits,
};
const painter = {
  schedulers: ["K_EULER"],
  output_formats: ["png"],
  defaults: { ...defaults, scheduler: "K_EULER" },
  limits,
  inputs: { num_images: "num_outputs", model: null, adapter: null, adapter_scale: null, output_format: null },
};

export const CLOUD_SECRET = `whsec_${btoa("c".repeat(32))}`;
export const COG_TOKEN = "what-cog-says-to-its-webhooks";

/** The variable RUNNERS of the tests with several runners, beside our own that RUNNER_URL names. */
export const RUNNERS = [
  {
    name: "cloud",
    kind: "replicate",
    url: "https://replicate.test/v1",
    token: "r8_for_tests_only",
    webhook_secret: CLOUD_SECRET,
    models: [
      { id: "painter", remote: { version: "5c7d5dc6" }, ...painter },
      { id: "deployed-painter", remote: { deployment: "ada/painter" }, ...painter },
      { id: "official-painter", remote: { model: "ada/painter" }, ...painter },
    ],
  },
  {
    name: "cog",
    kind: "cog",
    url: "http://cog.test",
    token: "a-proxy-wants-this",
    callback_token: COG_TOKEN,
    models: [
      // The same weights as our runner's: it stands in.
      { id: "miniature", version: "v1", adapters: [{ id: "sur", default: true }], ...ours },
      { id: "sketch", inputs: { model: null, adapter: null }, ...ours },
    ],
  },
];
