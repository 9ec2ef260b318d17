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

// Apart, because the types of `openapi` know the keywords of OpenAPI 3.0 alone.
const JSON_TEXT = {
  description: "JSON, of the kind that the event's name says.",
  contentMediaType: "application/json",
};
/** The `data` of a server-sent event. */
export const EventData = z.string().openapi(JSON_TEXT);

/** One of its events as a reader of the stream has it (HTML standard, section 9.2.6). */
export const GenerationStreamEvent = z
  .object({
    event: z.enum(GenerationEvent.options.map(({ shape }) => shape.type.value)),
    data: EventData,
    id: z.string().openapi({ description: "What `Last-Event-ID` resumes after." }),
  })
  .openapi("GenerationStreamEvent", {
    description: "One event of the stream.",
    example: {
      event: "progress",
      data: JSON.stringify({ fraction: 0.48, step: 12, steps: 25, queue_position: null, eta_seconds: 1.3 }),
      id: "3",
    },
  });
