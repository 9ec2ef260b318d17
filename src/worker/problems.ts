import type { Hook } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { type FieldError, PROBLEMS, type Problem, pointer } from "../contract/problem.ts";
import { Misconfigured } from "./config.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { OPENAI_PREFIX, openAIError } from "./openai-errors.ts";
import { invalid, Refusal } from "./refusal.ts";

/** The registered type of every refusal at a limit (draft-ietf-httpapi-ratelimit-headers, section 5.1). */
const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/** RFC 9457 answers: the one place that turns what was thrown into HTTP. */
export function problemResponse(c: AppContext, refusal: Refusal): Response {
  c.set("code", refusal.code);
  if (refusal.rule) c.set("rule", refusal.rule);
  if (new URL(c.req.url).pathname.startsWith(OPENAI_PREFIX)) return openAIError(refusal);
  const [status, title] = PROBLEMS[refusal.code];
  const problem: Problem = {
    type: status === 429 ? QUOTA_EXCEEDED : `urn:vignette:problem:${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    instance: new URL(c.req.url).pathname,
    code: refusal.code,
    request_id: c.get("requestId"),
    ...(refusal.errors ? { errors: refusal.errors } : {}),
    ...(refusal.rule ? { rule: refusal.rule } : {}),
    ...(refusal.violated ? { "violated-policies": refusal.violated } : {}),
  };
  return new Response(JSON.stringify(problem), {
    status,
    headers: { ...refusal.headers, "Content-Type": "application/problem+json", "Cache-Control": "no-store" },
  });
}

export function onError(error: Error, c: AppContext): Response {
  if (error instanceof Refusal) return problemResponse(c, error);
  if (error instanceof Misconfigured) return problemResponse(c, new Refusal("misconfigured", error.message));
  if (error instanceof HTTPException && error.status === 415)
    return problemResponse(
      c,
      new Refusal("unsupported_media_type", "Send JSON with the header Content-Type: application/json."),
    );
  console.error(
    JSON.stringify({ event: "exception", request_id: c.get("requestId"), error: String(error), stack: error.stack }),
  );
  return problemResponse(
    c,
    new Refusal("internal", "Something went wrong here; quote the request_id when you report it."),
  );
}

export function onNotFound(c: AppContext): Response {
  return problemResponse(
    c,
    new Refusal("not_found", "There is nothing at this address; /openapi.json lists what there is."),
  );
}

export function onMethodNotAllowed(c: AppContext, methods: string[]): Response {
  const allow = methods.join(", ");
  return problemResponse(
    c,
    new Refusal("method_not_allowed", `${c.req.method} is not possible here; use ${allow}.`, {
      headers: { Allow: allow },
    }),
  );
}

/** Throws what a schema found as one refusal that names every field. */
export const onInvalid: Hook<unknown, AppEnv, string, unknown> = (result) => {
  if (!result.success) throw invalid(result.error.issues.flatMap((issue) => fieldErrors(issue as Issue)));
};

interface Issue {
  code: string;
  path: PropertyKey[];
  message: string;
  keys?: string[];
}

function fieldErrors(issue: Issue): FieldError[] {
  if (issue.code === "unrecognized_keys")
    return (issue.keys ?? []).map((key) => ({
      pointer: pointer([...issue.path, key]),
      detail: "There is no such field; remove it or check its spelling.",
    }));
  return [{ pointer: pointer(issue.path), detail: sentence(issue) }];
}

/** zod's own words are clear enough but for a missing field, which it calls a wrong type. */
function sentence({ code, message }: Issue): string {
  if (code === "invalid_type" && message.endsWith("received undefined")) return "This field is needed.";
  return message.endsWith(".") ? message : `${message}.`;
}
