import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { PageQuery } from "../../contract/generation.ts";
import { CreatedKey, CreateKey, Key, KeyList, RotateKey, UpdateKey } from "../../contract/keys.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { createKey, getKey, listKeys, revokeKey, rotateKey, updateKey } from "../services/keys.ts";
import { idParams, json, problems, secured } from "./shared.ts";

const account = z.string().min(1).max(64).optional().openapi({ description: "Operators only: another account." });
const query = z.strictObject({ account });

const create = createRoute({
  method: "post",
  path: "/v1/keys",
  summary: "Make a key",
  ...secured("admin"),
  middleware: [authorize("admin"), jsonBody()] as const,
  request: { body: { required: true, content: { "application/json": { schema: CreateKey } } } },
  responses: { 201: json(CreatedKey, "The key, shown this once."), ...problems(400, 401, 403, 409, 413, 415, 422) },
});

const list = createRoute({
  method: "get",
  path: "/v1/keys",
  summary: "Your keys, newest first",
  ...secured("admin"),
  middleware: [authorize("admin")] as const,
  request: { query: PageQuery.extend({ account }) },
  responses: { 200: json(KeyList, "A page."), ...problems(401, 403, 404, 422) },
});

const read = createRoute({
  method: "get",
  path: "/v1/keys/{id}",
  summary: "One key",
  ...secured("admin"),
  middleware: [authorize("admin")] as const,
  request: { params: idParams, query },
  responses: { 200: json(Key, "The key without its secret."), ...problems(401, 403, 404, 422) },
});

const update = createRoute({
  method: "patch",
  path: "/v1/keys/{id}",
  summary: "Change a key's name, scopes, limits or expiry",
  ...secured("admin"),
  middleware: [authorize("admin"), jsonBody()] as const,
  request: {
    params: idParams,
    query,
    body: { required: true, content: { "application/json": { schema: UpdateKey } } },
  },
  responses: { 200: json(Key, "As it is now."), ...problems(400, 401, 403, 404, 413, 415, 422) },
});

const rotate = createRoute({
  method: "post",
  path: "/v1/keys/{id}/rotate",
  summary: "Give a key a new secret",
  description:
    "Id, limits and counts stay. The old secret works for `overlap_seconds` more; one older than that does not.",
  ...secured("admin"),
  middleware: [authorize("admin"), jsonBody()] as const,
  request: {
    params: idParams,
    query,
    body: { required: true, content: { "application/json": { schema: RotateKey } } },
  },
  responses: {
    200: json(CreatedKey, "The key with its new secret, shown this once."),
    ...problems(400, 401, 403, 404, 409, 413, 415, 422),
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/v1/keys/{id}",
  summary: "Revoke a key",
  ...secured("admin"),
  middleware: [authorize("admin")] as const,
  request: { params: idParams, query },
  responses: {
    204: {
      description:
        "It works no more: here from now on, everywhere within 30 s; with the scopes `admin` and `webhooks` nowhere from now on.",
    },
    ...problems(401, 403, 404, 422),
  },
});

export function registerKeys(app: OpenAPIHono<AppEnv>): void {
  app.openapi(create, async (c) => {
    c.header("Cache-Control", "no-store");
    return c.json(await createKey(c.get("deps"), c.get("key"), c.req.valid("json")), 201);
  });
  app.openapi(list, async (c) => c.json(await listKeys(c.get("deps"), c.get("key"), c.req.valid("query")), 200));
  app.openapi(read, async (c) =>
    c.json(await getKey(c.get("deps"), c.get("key"), { ...c.req.valid("param"), ...c.req.valid("query") }), 200),
  );
  app.openapi(update, async (c) => {
    const named = { ...c.req.valid("param"), ...c.req.valid("query") };
    return c.json(await updateKey(c.get("deps"), c.get("key"), named, c.req.valid("json")), 200);
  });
  app.openapi(rotate, async (c) => {
    c.header("Cache-Control", "no-store");
    const named = { ...c.req.valid("param"), ...c.req.valid("query") };
    return c.json(await rotateKey(c.get("deps"), c.get("key"), named, c.req.valid("json")), 200);
  });
  app.openapi(revoke, async (c) => {
    await revokeKey(c.get("deps"), c.get("key"), { ...c.req.valid("param"), ...c.req.valid("query") });
    return c.body(null, 204);
  });
}
