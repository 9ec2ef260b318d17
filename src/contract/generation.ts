import { GENERATION_EXAMPLE } from "./examples.ts";
import { BOUNDS, OUTPUT_FORMATS, STATUSES } from "./terms.ts";
import { atMost, promptText, utf8Bytes, wellFormed } from "./text.ts";
import { RequestEvents, WebhookUrl } from "./webhooks.ts";
import { z } from "./zod.ts";

export { BOUNDS, isTerminal, OUTPUT_FORMATS, STATUSES } from "./terms.ts";

export const OutputFormat = z.enum(OUTPUT_FORMATS);
export type OutputFormat = z.infer<typeof OutputFormat>;

export const Status = z.enum(STATUSES).openapi("Status");
export type Status = z.infer<typeof Status>;

/** As JSON in UTF-8: with it a webhook message stays below the 20 KB that Standard Webhooks ask for. */
const METADATA_BYTES = 16_000;

const side = z.int().min(8).max(BOUNDS.side).multipleOf(8);

export const CreateGeneration = z
  .strictObject({
    prompt: promptText(BOUNDS.promptChars)
      .refine((text) => text.trim().length > 0, "Say what the picture shows: the prompt is empty.")
      .openapi({ example: "two purple cats fell asleep on the beach" }),
    negative_prompt: promptText(BOUNDS.promptChars)
      .optional()
      .openapi({ description: "What the picture must not show." }),
    model: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .openapi({ description: "An id of `/v1/models`; absent: its default model." }),
    adapter: z
      .string()
      .min(1)
      .max(200)
      .nullable()
      .optional()
      .openapi({ description: "An id of the model's adapters; absent: its default adapter; null: none." }),
    adapter_scale: z.number().min(0).max(BOUNDS.adapterScale).optional(),
    width: side.optional().openapi({ description: "Pixels." }),
    height: side.optional().openapi({ description: "Pixels." }),
    num_inference_steps: z.int().min(1).max(BOUNDS.steps).optional(),
    guidance_scale: z.number().min(0).max(BOUNDS.guidance).optional(),
    scheduler: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .openapi({ description: "A diffusers class that `/v1/models` lists." }),
    seed: z
      .int()
      .min(0)
      .max(BOUNDS.seed)
      .optional()
      .openapi({ description: "Absent: a random one, told in the answer." }),
    num_images: z.int().min(1).max(BOUNDS.images).default(1),
    output_format: OutputFormat.default("png"),
    previews: z.int().min(0).max(BOUNDS.previews).optional().openapi({
      description: "How many `preview` events to send of each picture while it is drawn, where its runner can.",
    }),
    user: wellFormed(200).min(1).optional().openapi({ description: "The id of your end user." }),
    group: wellFormed(200)
      .min(1)
      .optional()
      .openapi({ description: "A group of your end users, such as a chat's server, with its own limits." }),
    webhook_url: WebhookUrl.optional().openapi({
      description: "Told of this generation's end, beside your endpoints; signed with the account's default secret.",
    }),
    webhook_events: RequestEvents.optional().openapi({ description: "Which ends; absent: all." }),
    metadata: z
      .record(atMost(64, z.string().min(1)), wellFormed(512))
      .refine((value) => Object.keys(value).length <= 16, "At most 16 entries.")
      .refine((value) => utf8Bytes(JSON.stringify(value)) <= METADATA_BYTES, `At most ${METADATA_BYTES} bytes as JSON.`)
      .optional(),
  })
  .refine((request) => request.webhook_events === undefined || request.webhook_url !== undefined, {
    path: ["webhook_events"],
    error: "Say where to with webhook_url, or leave this out.",
  })
  .openapi("CreateGeneration", {
    example: { prompt: GENERATION_EXAMPLE.prompt, seed: 7, user: "ada", metadata: { order: "1842" } },
  });
export type CreateGeneration = z.infer<typeof CreateGeneration>;

/** What a client may send: fields with a default are optional here. */
export type CreateGenerationInput = z.input<typeof CreateGeneration>;

export const Parameters = z
  .object({
    width: z.int(),
    height: z.int(),
    num_inference_steps: z.int(),
    guidance_scale: z.number(),
    scheduler: z.string(),
    seed: z.int(),
    num_images: z.int(),
    output_format: OutputFormat,
  })
  .openapi("Parameters", { description: "Everything that decides the pixels, resolved: the seed included." });
export type Parameters = z.infer<typeof Parameters>;

export const Progress = z
  .object({
    fraction: z.number().min(0).max(1),
    step: z.int(),
    steps: z.int(),
    queue_position: z.int().nullable().openapi({ description: "Generations ahead of this one; null once it runs." }),
    eta_seconds: z.number().nullable(),
  })
  .openapi("Progress");
export type Progress = z.infer<typeof Progress>;

export const Image = z
  .object({
    index: z.int(),
    url: z.string(),
    width: z.int(),
    height: z.int(),
    content_type: z.string(),
    sha256: z.string(),
    seed: z.int(),
    flagged: z.boolean(),
    share_url: z.string().nullable().openapi({ description: "Its public page, if it has been shared." }),
  })
  .openapi("Image");
export type Image = z.infer<typeof Image>;

export const Reading = z
  .array(z.object({ tag: z.string(), score: z.number() }))
  .openapi("Reading", { description: "How the model understood the prompt, strongest first." });
export type Reading = z.infer<typeof Reading>;

export const Generation = z
  .object({
    id: z.string().openapi({ example: "gen_01jdd5m0000000000000000000" }),
    object: z.literal("generation"),
    status: Status,
    created_at: z.string(),
    started_at: z.string().nullable(),
    completed_at: z.string().nullable(),
    model: z.string(),
    adapter: z.object({ id: z.string(), scale: z.number() }).nullable(),
    prompt: z.string(),
    negative_prompt: z.string().nullable(),
    parameters: Parameters,
    reading: Reading.nullable(),
    notice: z
      .string()
      .nullable()
      .openapi({ description: "What to know about this prompt: that the model does not know what it asks for, say." }),
    progress: Progress.nullable(),
    images: z.array(Image),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    cached: z.boolean(),
    metrics: z
      .object({ queue_ms: z.int().nullable(), run_ms: z.int().nullable(), total_ms: z.int().nullable() })
      .openapi({ description: "Waiting, the runner's own drawing time, and acceptance to end; null until known." }),
    user: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    urls: z.object({ self: z.string(), cancel: z.string(), events: z.string() }),
  })
  .openapi("Generation", { example: GENERATION_EXAMPLE });
export type Generation = z.infer<typeof Generation>;

export const GenerationList = z
  .object({ data: z.array(Generation), next_cursor: z.string().nullable() })
  .openapi("GenerationList", { example: { data: [GENERATION_EXAMPLE], next_cursor: null } });
export type GenerationList = z.infer<typeof GenerationList>;

const limit = z.coerce
  .number()
  .int()
  .min(1)
  .max(100)
  .default(20)
  .openapi({ type: "integer", description: "How many to answer with." });
const cursor = z.string().max(200).optional().openapi({ description: "`next_cursor` of the page before." });

export const PageQuery = z.strictObject({ limit, cursor });
export const ListQuery = z.strictObject({
  limit,
  cursor,
  status: Status.optional(),
  user: atMost(200).optional(),
  shared: z
    .enum(["true"])
    .optional()
    .openapi({ description: "`true`: only those of whose pictures one has a public page." }),
  favorite_of: atMost(200).optional().openapi({ description: "A profile's id: only its favorites." }),
});
/** What a client may ask a list for. */
export type ListInput = z.input<typeof ListQuery>;
