import { Generation, Progress, Status } from "./generation.ts";
import { z } from "./zod.ts";

/** What `GET /v1/generations/{id}/events` sends; `type` is the SSE event name, the rest its `data`. */
export const GenerationEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("status"), data: z.object({ status: Status }) }),
  z.object({ type: z.literal("progress"), data: Progress }),
  z.object({ type: z.literal("completed"), data: Generation }),
]);
export type GenerationEvent = z.infer<typeof GenerationEvent>;
