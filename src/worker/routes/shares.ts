import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { CreateShare, Share } from "../../contract/shares.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { shareImage, unshareImage } from "../services/shares.ts";
import { json, problems, secured } from "./shared.ts";

const PATH = "/v1/generations/{id}/images/{index}/share";
const params = z.object({
  id: z.string(),
  index: z.coerce
    .number()
    .int()
    .min(0)
    .openapi({ type: "integer", param: { name: "index", in: "path", required: true } }),
});

const share = createRoute({
  method: "post",
  path: PATH,
  summary: "Give a picture a public page",
  description: "With Open Graph tags, for whoever has its address. Shared again, it keeps that address.",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: { params, body: { required: true, content: { "application/json": { schema: CreateShare } } } },
  responses: { 200: json(Share, "Its page."), ...problems(400, 401, 403, 404, 409, 413, 415, 422) },
});

const unshare = createRoute({
  method: "delete",
  path: PATH,
  summary: "End a picture's public page",
  ...secured("generate"),
  middleware: [authorize("generate")] as const,
  request: { params },
  responses: { 204: { description: "There is no page, within a minute everywhere." }, ...problems(401, 403, 404, 422) },
});

export function registerShares(app: OpenAPIHono<AppEnv>): void {
  app.openapi(share, async (c) => {
    const { id, index } = c.req.valid("param");
    const { show_prompt } = c.req.valid("json");
    return c.json(await shareImage(c.get("deps"), c.get("key").accountId, id, index, show_prompt), 200);
  });
  app.openapi(unshare, async (c) => {
    const { id, index } = c.req.valid("param");
    await unshareImage(c.get("deps"), c.get("key").accountId, id, index);
    return c.body(null, 204);
  });
}
