import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Profile, UpdateProfile } from "../../contract/profiles.ts";
import { atMost } from "../../contract/text.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { addFavorite, forgetProfile, getProfile, updateProfile } from "../services/profiles.ts";
import { json, problems, secured } from "./shared.ts";

const params = z.object({ id: atMost(200, z.string().min(1)) });
const favorite = params.extend({ generation: z.string() });

const read = createRoute({
  method: "get",
  path: "/v1/profiles/{id}",
  summary: "What is kept for an end user",
  description: "A profile's id is yours: an end user as `user` names them, or a place. It needs not be made.",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { params },
  responses: {
    200: json(Profile, "The profile; without preferences where none were set."),
    ...problems(401, 403, 422),
  },
});

const update = createRoute({
  method: "patch",
  path: "/v1/profiles/{id}",
  summary: "Set preferences",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: { params, body: { required: true, content: { "application/json": { schema: UpdateProfile } } } },
  responses: { 200: json(Profile, "As it is now."), ...problems(400, 401, 403, 413, 415, 422) },
});

const forget = createRoute({
  method: "delete",
  path: "/v1/profiles/{id}",
  summary: "Forget a profile",
  description: "Its preferences and favorites; what it drew stays until that is deleted.",
  ...secured("generate"),
  middleware: [authorize("generate")] as const,
  request: { params },
  responses: { 204: { description: "Gone." }, ...problems(401, 403, 422) },
});

const add = createRoute({
  method: "put",
  path: "/v1/profiles/{id}/favorites/{generation}",
  summary: "Add a favorite",
  description: "`GET /v1/generations?favorite_of={id}` lists them. A favorite goes with its generation.",
  ...secured("generate"),
  middleware: [authorize("generate")] as const,
  request: { params: favorite },
  responses: { 204: { description: "It is one." }, ...problems(401, 403, 404, 422) },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/profiles/{id}/favorites/{generation}",
  summary: "Remove a favorite",
  ...secured("generate"),
  middleware: [authorize("generate")] as const,
  request: { params: favorite },
  responses: { 204: { description: "It is none." }, ...problems(401, 403, 422) },
});

export function registerProfiles(app: OpenAPIHono<AppEnv>): void {
  app.openapi(read, async (c) =>
    c.json(await getProfile(c.get("deps"), c.get("key").accountId, c.req.valid("param").id), 200),
  );
  app.openapi(update, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(await updateProfile(c.get("deps"), c.get("key").accountId, id, c.req.valid("json")), 200);
  });
  app.openapi(forget, async (c) => {
    await forgetProfile(c.get("deps"), c.get("key").accountId, c.req.valid("param").id);
    return c.body(null, 204);
  });
  app.openapi(add, async (c) => {
    await addFavorite(c.get("deps"), c.get("key").accountId, c.req.valid("param"));
    return c.body(null, 204);
  });
  app.openapi(remove, async (c) => {
    const { id, generation } = c.req.valid("param");
    await c.get("deps").profiles.removeFavorite(c.get("key").accountId, id, generation);
    return c.body(null, 204);
  });
}
