import { OUTPUT_FORMATS, OutputFormat } from "../../contract/generation.ts";
import { Adapter, ModelDefaults, ModelLimits } from "../../contract/models.ts";
import { z } from "../../contract/zod.ts";

/** The runner that RUNNER_URL, RUNNER_TOKEN and RUNNER_WEBHOOK_SECRET describe. */
export const DEFAULT_RUNNER = "default";

export const httpUrl = z
  .url({ protocol: /^https?$/, error: "must be an http(s) URL" })
  .transform((text) => text.replace(/\/+$/, ""));
export const webhookSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, "must be whsec_ followed by at least 24 bytes in base64");

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "must be 1 to 32 of a-z, 0-9 and -");
const token = z.string().min(1, "must not be empty");
const path = z.string().regex(/^[\w.-]+\/[\w.-]+$/, "must be owner/name");

/** A model of a runner that does not tell its models itself. */
const DeclaredModel = z.strictObject({
  id: z.string().min(1).max(200),
  description: z.string().default(""),
  default: z.boolean().default(false),
  /** Two runners that name the same version draw the same pictures, and stand in for each other. */
  version: z.string().min(1).optional(),
  adapters: z.array(Adapter.extend({ description: z.string().default("") })).default([]),
  schedulers: z.array(z.string().min(1)).min(1),
  output_formats: z
    .array(OutputFormat)
    .min(1)
    .default([...OUTPUT_FORMATS]),
  defaults: ModelDefaults.extend({
    adapter_scale: z.number().default(1),
    negative_prompt: z.string().default(""),
  }).strict(),
  limits: ModelLimits.extend({
    max_images: z.int().min(1).default(1),
    max_prompt_chars: z.int().min(1).default(2000),
    max_prompt_tokens: z.int().min(1).nullable().default(null),
    multiple_of: z.int().min(1).default(8),
  }).strict(),
  /** Our name of an input to the model's, or null where it has none. */
  inputs: z.record(z.string(), z.string().nullable()).default({}),
});
export type DeclaredModel = z.infer<typeof DeclaredModel>;

/** What Replicate's API is asked for: a version, an official model, or a deployment. */
const Remote = z.union([
  z.strictObject({ version: z.string().min(1) }),
  z.strictObject({ model: path }),
  z.strictObject({ deployment: path }),
]);

const VignetteRunner = z.strictObject({
  name,
  kind: z.literal("vignette"),
  url: httpUrl,
  token,
  webhook_secret: webhookSecret,
  /** Which of its models are used; absent: all. */
  models: z.array(z.string()).min(1).optional(),
});
export type VignetteRunner = z.infer<typeof VignetteRunner>;

const ReplicateRunner = z.strictObject({
  name,
  kind: z.literal("replicate"),
  url: httpUrl.default("https://api.replicate.com/v1"),
  token,
  webhook_secret: webhookSecret,
  models: z.array(DeclaredModel.extend({ remote: Remote })).min(1),
});
export type ReplicateRunner = z.infer<typeof ReplicateRunner>;

const CogRunner = z.strictObject({
  name,
  kind: z.literal("cog"),
  url: httpUrl,
  /** For a proxy in front of it: Cog itself asks for none. */
  token: token.optional(),
  /** Cog's WEBHOOK_AUTH_TOKEN: its callbacks are not signed, this is all that vouches for them. */
  callback_token: z.string().min(16, "must have at least 16 characters"),
  models: z.array(DeclaredModel).min(1),
});
export type CogRunner = z.infer<typeof CogRunner>;

export const RunnerSettings = z.discriminatedUnion("kind", [VignetteRunner, ReplicateRunner, CogRunner]);
export type RunnerSettings = z.infer<typeof RunnerSettings>;

/** The variable RUNNERS: JSON, an array in the order in which they are preferred. */
export const Runners = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue("must be a JSON array");
      return z.NEVER;
    }
  })
  .pipe(
    z
      .array(RunnerSettings)
      .min(1, "must name at least one runner")
      .refine((list) => new Set(list.map((runner) => runner.name)).size === list.length, "names a runner twice")
      .refine((list) => list.every((runner) => runner.name !== DEFAULT_RUNNER), "must not use the name default"),
  );
