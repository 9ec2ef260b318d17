import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AppEnv } from "../context.ts";
import { readBody } from "../read-body.ts";
import { receiveCallback } from "../services/callback.ts";

/** Logs of a long run are the largest part of a callback. */
const MAX_CALLBACK_BYTES = 4 * 1024 * 1024;

/** The runner's signed callbacks; no part of the public description. */
export function registerRunner(app: OpenAPIHono<AppEnv>): void {
  app.post("/internal/runner/:id", async (c) => {
    const body = new TextDecoder().decode(await readBody(c.req.raw, MAX_CALLBACK_BYTES));
    await receiveCallback(c.get("deps"), c.req.param("id"), c.req.raw.headers, body);
    return c.body(null, 204);
  });
}
