import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { CreateGeneration, Generation, GenerationList, isTerminal, ListQuery } from "../../contract/generation.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { waitSeconds } from "../prefer.ts";
import {
  awaitEnd,
  cancelGeneration,
  createGeneration,
  deleteGeneration,
  getGeneration,
  listGenerations,
} from "../services/generations.ts";
import { idParams, json, LocationHeader, PreferHeader, problems, secured } from "./shared.ts";

const create = createRoute({
  method: "post",
  path: "/v1/generations",
  summary: "Ask for a picture",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: {
    headers: PreferHeader,
    body: { required: true, content: { "application/json": { schema: CreateGeneration } } },
  },
  responses: {
    201: { ...json(Generation, "It ended within the time that `Prefer: wait` gave."), headers: LocationHeader },
    202: { ...json(Generation, "Accepted; it will end in exactly one terminal status."), headers: LocationHeader },
    ...problems(400, 401, 403, 413, 415, 422, 503),
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
    200: json(Generation, "As it is now: canceled, or unchanged when it had already ended."),
    ...problems(401, 403, 404),
  },
});

export function registerGenerations(app: OpenAPIHono<AppEnv>): void {
  app.openapi(create, async (c) => {
    const deps = c.get("deps");
    const { accountId, id: keyId } = c.get("key");
    const accepted = await createGeneration(deps, { accountId, keyId }, c.req.valid("json"));
    c.header("Location", accepted.generation.urls.self);
    const wait = waitSeconds(c.req.header("Prefer"));
    if (wait === null) return c.json(accepted.generation, 202);
    c.header("Preference-Applied", `wait=${wait}`);
    const generation = await awaitEnd(deps, accountId, accepted, wait);
    return c.json(generation, isTerminal(generation.status) ? 201 : 202);
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
