import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Generation } from "../../contract/generation.ts";
import { CreateImages, Images, OpenAIError } from "../../contract/openai.ts";
import { z } from "../../contract/zod.ts";
import { cacheWish } from "../cache-control.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { EVENT_STREAM, KEEPALIVE_MS } from "../generation/stream.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { errorBody, rateLimits } from "../openai-errors.ts";
import { onError } from "../problems.ts";
import { Refusal } from "../refusal.ts";
import { type Accepted, createGeneration } from "../services/create.ts";
import { awaitEnd } from "../services/generations.ts";
import { parseIdempotencyKey } from "../services/idempotency.ts";
import { fromOpenAI, toOpenAI } from "../services/openai-images.ts";
import { json, secured } from "./shared.ts";

/** The SDKs give up after ten minutes; a proxy in between, after five. */
const WAIT_SECONDS = 290;

const errors = (...statuses: number[]) =>
  Object.fromEntries(statuses.map((status) => [status, json(OpenAIError, "OpenAI's error object.")]));

const create = createRoute({
  method: "post",
  path: "/v1/images/generations",
  summary: "OpenAI's Images API",
  description:
    "What the official `openai` SDKs call as `images.generate`, with errors in their shape. The picture is drawn while " +
    "the client waits. With `stream`, server-sent events `image_generation.completed`, one per picture.",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: { body: { required: true, content: { "application/json": { schema: CreateImages } } } },
  responses: {
    200: {
      description: "The pictures.",
      content: { "application/json": { schema: Images }, "text/event-stream": { schema: z.string() } },
    },
    ...errors(400, 401, 403, 409, 410, 413, 415, 429, 500, 503, 504),
  },
});

export function registerOpenAIImages(app: OpenAPIHono<AppEnv>): void {
  app.openapi(create, async (c) => {
    const deps = c.get("deps");
    const request = c.req.valid("json");
    const accepted = await createGeneration(deps, c.get("key"), await fromOpenAI(deps, request), {
      idempotencyKey: parseIdempotencyKey(c.req.header("Idempotency-Key")),
      cache: cacheWish(c.req.header("Cache-Control")),
      holdsBack: true,
    });
    const headers = { ...accepted.headers, ...rateLimits(accepted.headers) };
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
    if (request.stream) return stream(c, accepted, request);
    return c.json(await toOpenAI(deps, await ended(c, accepted), request), 200);
  });
}

async function ended(c: AppContext, accepted: Accepted): Promise<Generation> {
  const { offered } = accepted;
  if (offered === null) return accepted.generation;
  const generation = await awaitEnd(c.get("deps"), c.get("key").accountId, { ...accepted, offered }, WAIT_SECONDS);
  accepted.answered(201, generation);
  return generation;
}

/** Server-sent events as OpenAI writes them: nothing but comments until the end, then each picture whole. */
function stream(c: AppContext, accepted: Accepted, request: CreateImages): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const say = (text: string) => writer.write(encoder.encode(text)).catch(() => {});
  const event = (type: string, data: object) => say(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  const beat = setInterval(() => void say(": keep-alive\n\n"), KEEPALIVE_MS);

  const tell = async () => {
    try {
      const { data, created, ...about } = await toOpenAI(c.get("deps"), await ended(c, accepted), request);
      const type = "image_generation.completed";
      for (const { b64_json } of data) await event(type, { type, b64_json, created_at: created, ...about });
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal("internal", "Something went wrong here.");
      if (refusal !== error) onError(error as Error, c);
      await event("error", errorBody(refusal, refusal.code === "internal" ? 500 : 400));
    } finally {
      clearInterval(beat);
      await writer.close().catch(() => {});
    }
  };
  c.get("deps").background(tell());
  for (const [name, value] of Object.entries(EVENT_STREAM)) c.header(name, value as string);
  return c.body(readable, 200);
}
