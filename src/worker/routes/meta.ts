import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Health, Readiness } from "../../contract/readiness.ts";
import type { AppEnv } from "../context.ts";
import { describeApi } from "../openapi.ts";
import { readiness, schedulerNames } from "../services/health.ts";
import { json, problems } from "./shared.ts";

const health = createRoute({
  method: "get",
  path: "/healthz",
  summary: "Whether the edge runs",
  responses: { 200: json(Health, "It does."), ...problems() },
});

const ready = createRoute({
  method: "get",
  path: "/readyz",
  summary: "Whether pictures can be drawn now",
  responses: {
    200: json(Readiness, "They can; `degraded` may name what is wrong all the same."),
    503: json(Readiness, "Not now; `degraded` says why."),
    ...problems(),
  },
});

export function registerMeta(app: OpenAPIHono<AppEnv>): void {
  app.openapi(health, (c) => c.json({ status: "ok" as const }, 200));
  app.openapi(ready, async (c) => {
    c.header("Cache-Control", "no-store");
    const state = await readiness(c.get("deps"));
    return state.ready ? c.json(state, 200) : c.json(state, 503, { "Retry-After": "2" });
  });
  app.get("/openapi.json", async (c) =>
    c.json(describeApi(app, c.get("deps").config.PUBLIC_URL, await schedulerNames(c.get("deps")))),
  );
}
