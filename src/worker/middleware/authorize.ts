import type { MiddlewareHandler } from "hono";
import type { Scope } from "../../contract/keys.ts";
import type { AppEnv } from "../context.ts";
import { authenticate, requireScope } from "../services/authenticate.ts";
import type { KnownKey } from "../storage/keys.ts";

/** Lets a request through whose key is good and has the scope. */
export function authorize(scope: Scope): MiddlewareHandler<AppEnv> {
  return async function authorize(c, next) {
    const key = await authenticate(c.get("deps"), c.req.header("Authorization"), scope);
    c.set("key", key);
    requireScope(key, scope);
    await next();
    // Answers about endpoints themselves show it, and may just have changed it.
    if (key.lostEndpoint && scope !== "webhooks") c.header("Vignette-Notice", noticeOf(key.lostEndpoint));
  };
}

/** That a webhook endpoint is out of use, as a structured field (RFC 9651): of the only one no webhook could tell. */
const noticeOf = ({ id, reason }: NonNullable<KnownKey["lostEndpoint"]>) =>
  `webhook-endpoint-disabled;id=${id};reason=${reason}`;
