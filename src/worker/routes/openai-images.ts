import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { parseEvents } from "../../client/sse.ts";
import type { Preview } from "../../contract/events.ts";
import { type Generation, isTerminal } from "../../contract/generation.ts";
import { CreateImages, Images, ImagesStreamEvent, OpenAIError } from "../../contract/openai.ts";
import { cacheWish } from "../cache-control.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { EVENT_STREAM, KEEPALIVE_MS } from "../generation/stream.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { errorBody, rateLimits } from "../openai-errors.ts";
import { onError } from "../problems.ts";
import { Refusal } from "../refusal.ts";
import type { Accepted } from "../services/answer.ts";
import { createGeneration } from "../services/create.ts";
import { openEvents } from "../services/events.ts";
import { awaitEnd } from "../services/generations.ts";
import { LONGEST_HOLD_SECONDS, parseIdempotencyKey } from "../services/idempotency.ts";
import { drawn, fromOpenAI, toOpenAI } from "../services/openai-images.ts";
import { CreateHeaders, json, secured } from "./shared.ts";

const PARTIAL = "image_generation.partial_image";
const WHOLE = "image_generation.completed";
/** The event has to tell tokens (the SDK's `ImageGenCompletedEvent.usage`); nothing is counted or billed by them here. */
const NO_TOKENS = {
  total_tokens: 0,
  input_tokens: 0,
  output_tokens: 0,
  input_tokens_details: { text_tokens: 0, image_tokens: 0 },
};

const errors = (...statuses: (number | "default")[]) =>
  Object.fromEntries(statuses.map((status) => [status, json(OpenAIError, "OpenAI's error object.")]));

const create = createRoute({
  method: "post",
  path: "/v1/images/generations",
  summary: "OpenAI's Images API",
  description:
    "What the official `openai` SDKs call as `images.generate`, with errors in their shape. The picture is drawn while " +
    "the client waits. With `stream`, server-sent events: `image_generation.partial_image` where `partial_images` asks " +
    "for them, and `image_generation.completed`, one per picture; or `error`, with the error as its data.",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: {
    headers: CreateHeaders,
    body: { required: true, content: { "application/json": { schema: CreateImages } } },
  },
  responses: {
    200: {
      description: "The pictures.",
      content: { "application/json": { schema: Images }, "text/event-stream": { schema: ImagesStreamEvent } },
    },
    ...errors(400, 401, 403, 409, 410, 413, 415, 429, 500, 503, 504, "default"),
  },
});

export function registerOpenAIImages(app: OpenAPIHono<AppEnv>): void {
  app.openapi(create, async (c) => {
    const deps = c.get("deps");
    const request = c.req.valid("json");
    const asked = { body: request, translate: () => fromOpenAI(deps, request) };
    const accepted = await createGeneration(deps, c.get("key"), asked, {
      idempotencyKey: parseIdempotencyKey(c.req.header("Idempotency-Key")),
      cache: cacheWish(c.req.header("Cache-Control")),
      holdsBack: true,
    });
    c.set("generation", accepted.generation.id);
    c.set("cache", accepted.cache);
    const headers = { ...accepted.headers, ...rateLimits(accepted.headers) };
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
    if (request.stream) return stream(c, accepted, request);
    return c.json(await toOpenAI(deps, await ended(c, accepted), request), 200);
  });
}

async function ended(c: AppContext, accepted: Accepted): Promise<Generation> {
  const { offered } = accepted;
  if (offered === null) return accepted.generation;
  const { accountId } = c.get("key");
  const generation = await awaitEnd(c.get("deps"), accountId, { ...accepted, offered }, LONGEST_HOLD_SECONDS);
  // One that is still being drawn is an error to OpenAI's clients, who may have the picture when they ask again.
  if (isTerminal(generation.status)) accepted.answered(201, generation);
  return generation;
}

/** Sends the previews of a generation under way until it has ended. Without them the picture comes all the same. */
async function showPreviews(
  c: AppContext,
  { generation, offered }: Accepted,
  request: CreateImages,
  over: AbortSignal,
  send: (data: object) => Promise<void>,
): Promise<void> {
  if (!request.partial_images || offered === null) return;
  try {
    await offered;
    const events = await openEvents(c.get("deps"), c.get("key").accountId, generation.id, 0);
    if (!events.body) return;
    const sent = new Map<number, number>();
    const stream = events.body.pipeThrough(new TransformStream(), { signal: over });
    for await (const { event, data } of parseEvents(stream)) {
      if (event === "completed") return;
      if (event !== "preview") continue;
      const { index, image } = JSON.parse(data) as Preview;
      const count = sent.get(index) ?? 0;
      if (count >= request.partial_images) continue;
      sent.set(index, count + 1);
      const b64_json = image.slice(image.indexOf(",") + 1);
      const { created, ...about } = drawn(generation, request);
      await send({ type: PARTIAL, b64_json, partial_image_index: count, created_at: created, ...about });
    }
  } catch (error) {
    if (!over.aborted)
      console.error(JSON.stringify({ event: "previews_lost", generation: generation.id, error: String(error) }));
  }
}

/** Server-sent events as OpenAI writes them: previews as they come, then each picture whole. */
function stream(c: AppContext, accepted: Accepted, request: CreateImages): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const say = (text: string) => writer.write(encoder.encode(text)).catch(() => {});
  const event = (type: ImagesStreamEvent["event"], data: object) =>
    say(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  const beat = setInterval(() => void say(": keep-alive\n\n"), KEEPALIVE_MS);

  const tell = async () => {
    try {
      const shown = new AbortController();
      const previews = showPreviews(c, accepted, request, shown.signal, (data) => event(PARTIAL, data));
      const generation = await ended(c, accepted);
      shown.abort();
      await previews;
      const { data, created, ...about } = await toOpenAI(c.get("deps"), generation, request);
      const common = { type: WHOLE, created_at: created, ...about, usage: NO_TOKENS };
      for (const { b64_json } of data) await event(WHOLE, { ...common, b64_json });
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
