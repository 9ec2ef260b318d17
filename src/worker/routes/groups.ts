import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Group, UpdateGroup } from "../../contract/groups.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { json, problems, secured } from "./shared.ts";

const params = z.object({ id: z.string().min(1).max(200) });

const read = createRoute({
  method: "get",
  path: "/v1/groups/{id}",
  summary: "A group's limits",
  description: "A group is whatever requests name as `group`: a chat's server, say. It needs not be made.",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { params },
  responses: { 200: json(Group, "The group; without limits where none were set."), ...problems(401, 403, 422) },
});

const update = createRoute({
  method: "patch",
  path: "/v1/groups/{id}",
  summary: "Set a group's limits",
  description: "They hold beside those of the key and the account, and so only ever narrow what may be drawn.",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: { params, body: { required: true, content: { "application/json": { schema: UpdateGroup } } } },
  responses: { 200: json(Group, "As it is now."), ...problems(400, 401, 403, 413, 415, 422) },
});

export function registerGroups(app: OpenAPIHono<AppEnv>): void {
  app.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    const found = await c.get("deps").limits.group(c.get("key").accountId, id);
    return c.json({ id, object: "group" as const, ...found }, 200);
  });
  app.openapi(update, async (c) => {
    const { id } = c.req.valid("param");
    const changed = await c.get("deps").limits.setGroup(c.get("key").accountId, id, c.req.valid("json"));
    return c.json({ id, object: "group" as const, ...changed }, 200);
  });
}
