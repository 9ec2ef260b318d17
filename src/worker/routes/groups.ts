import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Group, UpdateGroup } from "../../contract/groups.ts";
import { atMost } from "../../contract/text.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { getGroup, updateGroup } from "../services/groups.ts";
import { json, problems, secured } from "./shared.ts";

const params = z.object({ id: atMost(200, z.string().min(1)) });

const read = createRoute({
  method: "get",
  path: "/v1/groups/{id}",
  summary: "A group's limits",
  description: "A group is whatever requests name as `group`: a chat's server, say. It needs not be made.",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { params },
  responses: { 200: json(Group, "The group; without limits where none were set."), ...problems(401, 403, 422, 429) },
});

const update = createRoute({
  method: "patch",
  path: "/v1/groups/{id}",
  summary: "Set a group's limits",
  description: "They hold beside those of the key and the account, and so only ever narrow what may be drawn.",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: { params, body: { required: true, content: { "application/json": { schema: UpdateGroup } } } },
  responses: { 200: json(Group, "As it is now."), ...problems(400, 401, 403, 413, 415, 422, 429) },
});

export function registerGroups(app: OpenAPIHono<AppEnv>): void {
  app.openapi(read, async (c) => c.json(await getGroup(c.get("deps"), c.get("key"), c.req.valid("param").id), 200));
  app.openapi(update, async (c) =>
    c.json(await updateGroup(c.get("deps"), c.get("key"), c.req.valid("param").id, c.req.valid("json")), 200),
  );
}
