import { z } from "./zod.ts";

export const CreateShare = z
  .strictObject({
    show_prompt: z
      .boolean()
      .default(true)
      .openapi({ description: "Whether the page shows the sentence, the model and the seed beside the picture." }),
  })
  .openapi("CreateShare", { example: { show_prompt: true } });
export type CreateShareInput = z.input<typeof CreateShare>;

export const Share = z
  .object({
    object: z.literal("share"),
    url: z.string(),
    show_prompt: z.boolean(),
    shared_at: z.string(),
  })
  .openapi("Share", {
    description: "A public page with one picture, for whoever has its address.",
    example: {
      object: "share",
      url: "https://vignette.example/s/4f9d0c6e8b1a2d3c4e5f60718293a4b5",
      show_prompt: true,
      shared_at: "2026-11-24T12:01:00.000Z",
    },
  });
export type Share = z.infer<typeof Share>;
