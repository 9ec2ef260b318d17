import { Generation, Progress, Status } from "./generation.ts";
import { z } from "./zod.ts";

/** How a picture looks so far; small, and of no pixel of the final one. */
export const Preview = z
  .object({
    index: z.int().openapi({ description: "Which of the generation's pictures." }),
    step: z.int(),
    image: z.string().openapi({ description: "A data URL." }),
  })
  .openapi("Preview");
export type Preview = z.infer<typeof Preview>;

/** What `GET /v1/generations/{id}/events` sends; `type` is the SSE event name, the rest its `data`. */
export const GenerationEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("status"), data: z.object({ status: Status }) }),
  z.object({ type: z.literal("progress"), data: Progress }),
  z.object({ type: z.literal("preview"), data: Preview }),
  z.object({ type: z.literal("completed"), data: Generation }),
]);
export type GenerationEvent = z.infer<typeof GenerationEvent>;
