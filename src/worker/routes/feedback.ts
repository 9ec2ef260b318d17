import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Feedback, FeedbackList, FeedbackQuery, GiveFeedback } from "../../contract/feedback.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { giveFeedback, listFeedback, takeBackFeedback } from "../services/feedback.ts";
import { idParams, json, problems, secured } from "./shared.ts";

const give = createRoute({
  method: "put",
  path: "/v1/generations/{id}/feedback",
  summary: "Whether a picture is what was meant",
  description: "Kept to teach models, and only where the person agreed. One word per generation: the last one.",
  ...secured("generate"),
  middleware: [authorize("generate"), jsonBody()] as const,
  request: { params: idParams, body: { required: true, content: { "application/json": { schema: GiveFeedback } } } },
  responses: { 200: json(Feedback, "As it is kept."), ...problems(400, 401, 403, 404, 409, 413, 415, 422) },
});

const takeBack = createRoute({
  method: "delete",
  path: "/v1/generations/{id}/feedback",
  summary: "Take feedback back",
  ...secured("generate"),
  middleware: [authorize("generate")] as const,
  request: { params: idParams },
  responses: { 204: { description: "Gone." }, ...problems(401, 403, 404) },
});

const list = createRoute({
  method: "get",
  path: "/v1/feedback",
  summary: "What people said of their pictures, newest picture first",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { query: FeedbackQuery },
  responses: { 200: json(FeedbackList, "A page."), ...problems(401, 403, 422) },
});

export function registerFeedback(app: OpenAPIHono<AppEnv>): void {
  app.openapi(give, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(await giveFeedback(c.get("deps"), c.get("key").accountId, id, c.req.valid("json")), 200);
  });
  app.openapi(takeBack, async (c) => {
    await takeBackFeedback(c.get("deps"), c.get("key").accountId, c.req.valid("param").id);
    return c.body(null, 204);
  });
  app.openapi(list, async (c) =>
    c.json(await listFeedback(c.get("deps"), c.get("key").accountId, c.req.valid("query")), 200),
  );
}
