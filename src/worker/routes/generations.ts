import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { CANCELED_EXAMPLE, GENERATION_EXAMPLE, QUEUED_EXAMPLE } from "../../contract/examples.ts";
import { CreateGeneration, Generation, GenerationList, isTerminal, ListQuery } from "../../contract/generation.ts";
import { z } from "../../contract/zod.ts";
import { cacheWish } from "../cache-control.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { waitSeconds } from "../prefer.ts";
import { createGeneration } from "../services/create.ts";
import {
  awaitEnd,
  cancelGeneration,
  deleteGeneration,
  getGeneration,
  listGenerations,
} from "../services/generations.ts";
import { parseIdempotencyKey } from "../services/idempotency.ts";
import {
  CreateHeaders,
  idParams,
  json,
  LocationHeader,
  PreferHeader,
  problems,
  RateLimitHeaders,
  secured,
} from "./shared.ts";

const AcceptedHeaders = LocationHeader.extend(RateLimitHeaders.shape).extend({
  "Cache-Status": z.string().optional().openapi({
    description: "RFC 9211: `hit`, or why it is drawn; `collapsed` when it shares one under way. None on a repeat.",
  }),
  "Idempotency-Replayed": z.string().optional().openapi({ description: "`true` on a repeat of an earlier answer." }),
});

const create = createRoute({
  method: "post",
  path: "/v1/generations",
  summary: "Ask for a picture",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: {
    headers: PreferHeader.extend(CreateHeaders.shape),
    body: { required: true, content: { "application/json": { schema: CreateGeneration } } },
  },
  responses: {
    200: {
      ...json(Generation, "The same pixels were drawn before: `cached` is true, and nothing counts against a limit.", {
        ...GENERATION_EXAMPLE,
        cached: true,
      }),
      headers: AcceptedHeaders,
    },
    201: { ...json(Generation, "It ended within the time that `Prefer: wait` gave."), headers: AcceptedHeaders },
    202: {
      ...json(Generation, "Accepted; it will end in exactly one terminal status.", QUEUED_EXAMPLE),
      headers: AcceptedHeaders,
    },
    ...problems(400, 401, 403, 409, 410, 413, 415, 422, 429, 503),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/generations/{id}",
  summary: "One generation",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { params: idParams },
  responses: { 200: json(Generation, "As it is now."), ...problems(401, 403, 404) },
});

const list = createRoute({
  method: "get",
  path: "/v1/generations",
  summary: "Your generations, newest first",
  description: "`progress` is null here; read a single generation or its events to follow it.",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { query: ListQuery },
  responses: { 200: json(GenerationList, "A page."), ...problems(401, 403, 422) },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/generations/{id}",
  summary: "Delete a generation with its images",
  ...secured("generate"),
  middleware: [authorize("generate")] as const,
  request: { params: idParams },
  responses: { 204: { description: "Gone; if it was unfinished, it was canceled first." }, ...problems(401, 403, 404) },
});

const cancel = createRoute({
  method: "post",
  path: "/v1/generations/{id}/cancel",
  summary: "Cancel a generation in any state",
  ...secured("generate"),
  middleware: [authorize("generate")] as const,
  request: { params: idParams },
  responses: {
    200: json(Generation, "As it is now: canceled, or unchanged when it had already ended.", CANCELED_EXAMPLE),
    ...problems(401, 403, 404),
  },
});

export function registerGenerations(app: OpenAPIHono<AppEnv>): void {
  app.openapi(create, async (c) => {
    const deps = c.get("deps");
    const key = c.get("key");
    const wait = waitSeconds(c.req.header("Prefer"));
    const accepted = await createGeneration(deps, key, c.req.valid("json"), {
      idempotencyKey: parseIdempotencyKey(c.req.header("Idempotency-Key")),
      cache: cacheWish(c.req.header("Cache-Control")),
      holdsBack: wait !== null,
    });
    const { offered } = accepted;
    c.set("generation", accepted.generation.id);
    c.set("cache", accepted.cache);
    for (const [name, value] of Object.entries(accepted.headers)) c.header(name, value);
    c.header("Location", accepted.generation.urls.self);
    if (wait === null || offered === null) return c.json(accepted.generation, accepted.status);
    c.header("Preference-Applied", `wait=${wait}`);
    const generation = await awaitEnd(deps, key.accountId, { ...accepted, offered }, wait);
    const status = isTerminal(generation.status) ? 201 : 202;
    accepted.answered(status, generation);
    return c.json(generation, status);
  });
  app.openapi(list, async (c) =>
    c.json(await listGenerations(c.get("deps"), c.get("key").accountId, c.req.valid("query")), 200),
  );
  app.openapi(read, async (c) =>
    c.json(await getGeneration(c.get("deps"), c.get("key").accountId, c.req.valid("param").id), 200),
  );
  app.openapi(remove, async (c) => {
    await deleteGeneration(c.get("deps"), c.get("key").accountId, c.req.valid("param").id);
    return c.body(null, 204);
  });
  app.openapi(cancel, async (c) =>
    c.json(await cancelGeneration(c.get("deps"), c.get("key").accountId, c.req.valid("param").id), 200),
  );
}
