import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { GenerationStreamEvent } from "../../contract/events.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { openEvents } from "../services/events.ts";
import { idParams, problems, secured } from "./shared.ts";

const events = createRoute({
  method: "get",
  path: "/v1/generations/{id}/events",
  summary: "Follow a generation",
  description:
    "Server-sent events: `status`, `progress` (its place in line, then its steps), `preview` where `previews` asked for " +
    "them and, as the last, `completed` with the generation, whatever its end. " +
    "A comment comes every 15 s. `Last-Event-ID` resumes; 204 says that the end has already been seen.",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { params: idParams, headers: z.object({ "last-event-id": z.string().optional() }) },
  responses: {
    200: { description: "Events until the end.", content: { "text/event-stream": { schema: GenerationStreamEvent } } },
    204: { description: "Nothing more will come." },
    ...problems(401, 403, 404),
  },
});

export function registerEvents(app: OpenAPIHono<AppEnv>): void {
  app.openapi(events, async (c) => {
    const last = c.req.header("Last-Event-ID") ?? "";
    // An id that is not ours resumes at the beginning: better twice than never.
    const lastEventId = /^\d{1,15}$/.test(last) ? Number(last) : 0;
    const stream = await openEvents(c.get("deps"), c.get("key").accountId, c.req.valid("param").id, lastEventId);
    return new Response(stream.body, stream);
  });
}
