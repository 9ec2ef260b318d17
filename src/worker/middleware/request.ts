import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { newId } from "../../contract/ids.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { type Deps, makeDeps } from "../deps.ts";
import { counted, minus } from "../observe/meter.ts";

/**
 * Names the request, hands the services their dependencies and writes one line about it when it is answered: everything
 * that is known of it. What goes on after the answer has a line of its own.
 */
export function request(): MiddlewareHandler<AppEnv> {
  return async function request(c, next) {
    const started = Date.now();
    const requestId = newId("req", started);
    c.set("requestId", requestId);
    const background: Promise<unknown>[] = [];
    try {
      const deps = makeDeps(c.env, c.executionCtx);
      const { background: begin } = deps;
      deps.background = (work) => {
        background.push(work);
        begin(work);
      };
      c.set("deps", deps);
      await next();
    } finally {
      c.res.headers.set("X-Request-Id", requestId);
      tell(c, started, background);
    }
  };
}

function tell(c: AppContext, started: number, background: Promise<unknown>[]): void {
  // Without a configuration there are none.
  const deps = c.get("deps") as Deps | undefined;
  const key = c.get("key");
  const about = {
    method: c.req.method,
    // The route's pattern, not the path: an image's path is the right to see it. Prompts are never written.
    route: routePath(c, -1),
    status: c.res.status,
    code: c.get("code"),
    cache: c.get("cache"),
    ms: Date.now() - started,
  };
  console.log(
    JSON.stringify({
      event: "request",
      request_id: c.get("requestId"),
      ray: c.req.header("cf-ray"),
      ...about,
      rule: c.get("rule"),
      generation: c.get("generation") ?? generationIn(c.req.param("id")),
      account: key?.accountId,
      key: key?.id,
      ...(deps && counted(deps.counts)),
    }),
  );
  if (!deps) return;
  deps.metrics.request({ account: key?.accountId, counts: deps.counts, ...about });
  if (background.length > 0) c.executionCtx.waitUntil(tellOfBackground(c.get("requestId"), deps, started, background));
}

/** The generation that an address names; other ids in addresses may be a customer's end users, who are never written. */
const generationIn = (id: string | undefined): string | undefined => (id?.startsWith("gen_") ? id : undefined);

/** What the request cost after its answer, once that is over. */
async function tellOfBackground(
  requestId: string,
  deps: Deps,
  started: number,
  background: Promise<unknown>[],
): Promise<void> {
  const before = { ...deps.counts };
  await Promise.allSettled(background);
  const costs = counted(minus(deps.counts, before));
  if (Object.keys(costs).length === 0) return;
  console.log(JSON.stringify({ event: "background", request_id: requestId, ms: Date.now() - started, ...costs }));
}
