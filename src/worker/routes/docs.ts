import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AppEnv } from "../context.ts";
import { PAGE_HEADERS, readTemplate } from "./page.ts";

/** Scalar styles its parts inline, so this page may; it still runs nothing inline and talks to us alone. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The reference page over `/openapi.json`, from files of our own: it works without the internet. */
export function registerDocs(app: OpenAPIHono<AppEnv>): void {
  app.get("/docs", async (c) => {
    const headers = { ...PAGE_HEADERS, "Content-Security-Policy": POLICY, "Cache-Control": "no-cache" };
    return new Response(await readTemplate(c, "docs.html"), { headers });
  });
}
