import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { newId } from "../../contract/ids.ts";
import type { AppEnv } from "../context.ts";
import { makeDeps } from "../deps.ts";

/** Names the request, hands the services their dependencies and writes one line about it when it is answered. */
export function request(): MiddlewareHandler<AppEnv> {
  return async function request(c, next) {
    const started = Date.now();
    const requestId = newId("req", started);
    c.set("requestId", requestId);
    try {
      c.set("deps", makeDeps(c.env, c.executionCtx));
      await next();
    } finally {
      c.res.headers.set("X-Request-Id", requestId);
      const key = c.get("key");
      // The route's pattern, not the path: an image's path is the right to see it. Prompts are never written.
      console.log(
        JSON.stringify({
          event: "request",
          request_id: requestId,
          method: c.req.method,
          route: routePath(c, -1),
          generation: c.req.param("id"),
          status: c.res.status,
          code: c.get("code"),
          rule: c.get("rule"),
          ms: Date.now() - started,
          account: key?.accountId,
          key: key?.id,
        }),
      );
    }
  };
}
