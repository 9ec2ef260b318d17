import type { MiddlewareHandler } from "hono";
import type { Scope } from "../../contract/keys.ts";
import type { AppEnv } from "../context.ts";
import { authenticate, requireScope } from "../services/authenticate.ts";

/** Lets a request through whose key is good and has the scope. */
export function authorize(scope: Scope): MiddlewareHandler<AppEnv> {
  return async function authorize(c, next) {
    const key = await authenticate(c.get("deps"), c.req.header("Authorization"), scope);
    c.set("key", key);
    requireScope(key, scope);
    await next();
  };
}
