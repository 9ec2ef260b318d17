import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { ModelList } from "../../contract/models.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { currentModels } from "../services/models.ts";
import { json, problems, secured } from "./shared.ts";

const list = createRoute({
  method: "get",
  path: "/v1/models",
  summary: "Models, their adapters, defaults and limits",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  responses: { 200: json(ModelList, "Every model."), ...problems(401, 403, 503) },
});

export function registerModels(app: OpenAPIHono<AppEnv>): void {
  app.openapi(list, async (c) => {
    const { models } = await currentModels(c.get("deps"));
    return c.json({ data: models }, 200);
  });
}
