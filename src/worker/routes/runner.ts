import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AppEnv } from "../context.ts";
import { readBody } from "../read-body.ts";
import { receiveCallback } from "../services/callback.ts";

/** Cog sends the pictures themselves, in base64. */
const MAX_CALLBACK_BYTES = 32 * 1024 * 1024;

/** The runners' callbacks; no part of the public description. */
export function registerRunner(app: OpenAPIHono<AppEnv>): void {
  app.post("/internal/runner/:id", async (c) => {
    const body = new TextDecoder().decode(await readBody(c.req.raw, MAX_CALLBACK_BYTES));
    const about = { id: c.req.param("id"), runner: c.req.query("runner") };
    await receiveCallback(c.get("deps"), about, c.req.raw.headers, body);
    return c.body(null, 204);
  });
}
