import { EventData } from "./events.ts";
import { GENERATION_EXAMPLE } from "./examples.ts";
import { BOUNDS, CreateGeneration, OutputFormat } from "./generation.ts";
import { z } from "./zod.ts";

const { prompt, user, metadata, seed, negative_prompt, adapter, adapter_scale, ...rest } = CreateGeneration.shape;

/**
 * OpenAI's `POST /v1/images/generations` (https://platform.openai.com/docs/api-reference/images/create). Behind OpenAI's
 * own fields stand ours, which an SDK sends as extra body fields.
 */
export const CreateImages = z
  .strictObject({
    prompt,
    model: rest.model,
    n: z.int().min(1).max(BOUNDS.images).nullish().openapi({ description: "How many pictures." }),
    size: z
      .string()
      .regex(/^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/, 'A size is "auto" or WIDTHxHEIGHT, such as "512x512"')
      .nullish()
      .openapi({ example: "auto", description: "`auto` is the model's own." }),
    quality: z
      .enum(["auto", "standard", "low", "medium", "high", "hd"])
      .nullish()
      .openapi({ description: "`low` takes half as many denoising steps, `high` and `hd` half as many again." }),
    response_format: z
      .enum(["url", "b64_json"])
      .nullish()
      .openapi({ description: "Absent: `url`; a stream carries `b64_json`." }),
    output_format: OutputFormat.nullish(),
    user,
    stream: z.boolean().nullish(),
    partial_images: z
      .int()
      .min(0)
      .max(3)
      .nullish()
      .openapi({ description: "At most so many; a picture that is done sooner has fewer." }),
    background: z.enum(["auto", "opaque"]).nullish().openapi({ description: "Pictures are opaque." }),
    moderation: z.enum(["auto", "low"]).nullish().openapi({ description: "Accepted; the account's policy holds." }),
    negative_prompt,
    adapter,
    adapter_scale,
    seed,
    num_inference_steps: rest.num_inference_steps,
    guidance_scale: rest.guidance_scale,
    scheduler: rest.scheduler,
    metadata,
  })
  .openapi("CreateImages", { example: { prompt: GENERATION_EXAMPLE.prompt, n: 1, size: "auto" } });
export type CreateImages = z.infer<typeof CreateImages>;

const Drawn = z.object({
  created: z.int().openapi({ description: "Seconds since 1970." }),
  background: z.literal("opaque"),
  output_format: OutputFormat,
  quality: z.string(),
  size: z.string(),
});

export const Images = Drawn.extend({
  data: z.array(z.object({ url: z.string().optional(), b64_json: z.string().optional() })),
}).openapi("Images", {
  example: {
    created: 1_795_521_600,
    background: "opaque",
    output_format: "png",
    quality: "auto",
    size: "128x128",
    data: GENERATION_EXAMPLE.images.map(({ url }) => ({ url })),
  },
});
export type Images = z.infer<typeof Images>;

/** One event of a stream as its reader has it; `error` comes in place of the pictures. */
export const ImagesStreamEvent = z
  .object({
    event: z.enum(["image_generation.partial_image", "image_generation.completed", "error"]),
    data: EventData,
  })
  .openapi("ImagesStreamEvent", {
    description: "One event of the stream.",
    example: {
      event: "image_generation.partial_image",
      data: JSON.stringify({
        type: "image_generation.partial_image",
        b64_json: "iVBORw0KGgo=",
        partial_image_index: 0,
        created_at: 1_795_521_600,
        background: "opaque",
        output_format: "png",
        quality: "auto",
        size: "128x128",
      }),
    },
  });
export type ImagesStreamEvent = z.infer<typeof ImagesStreamEvent>;

export const OpenAIError = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .openapi("OpenAIError", {
    description: "An error in OpenAI's shape.",
    example: {
      error: {
        message: "size: Must be a multiple of 8.",
        type: "invalid_request_error",
        param: "size",
        code: "invalid_request",
      },
    },
  });
export type OpenAIError = z.infer<typeof OpenAIError>;
