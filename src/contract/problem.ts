import { z } from "./zod.ts";

/** Every code that an error can carry, with its HTTP status and title (RFC 9457 `title`: the same for each code). */
export const PROBLEMS = {
  invalid_json: [400, "The body is not JSON"],
  invalid_utf8: [400, "The body is not UTF-8"],
  idempotency_key_invalid: [400, "Not an idempotency key"],
  key_missing: [401, "No API key"],
  key_malformed: [401, "Not an API key"],
  key_unknown: [401, "Unknown API key"],
  key_revoked: [401, "The API key was revoked"],
  key_expired: [401, "The API key has expired"],
  scope_missing: [403, "The API key lacks a scope"],
  user_blocked: [403, "This end user may draw nothing here"],
  operator_only: [403, "Only operators may do this"],
  not_found: [404, "Not found"],
  method_not_allowed: [405, "Method not allowed"],
  idempotency_in_flight: [409, "The first request with this key is under way"],
  generation_deleted: [410, "The generation was deleted"],
  idempotency_key_reused: [422, "The idempotency key belongs to another request"],
  too_many_endpoints: [409, "Too many webhook endpoints"],
  delivery_pending: [409, "The delivery is under way"],
  account_erased: [409, "The account was erased"],
  operator_account: [409, "An operator's account cannot be erased"],
  not_drawn: [409, "The generation has no picture"],
  image_flagged: [409, "The picture was flagged"],
  key_inactive: [409, "The API key is no longer active"],
  body_too_large: [413, "The body is too large"],
  unsupported_media_type: [415, "Unsupported content type"],
  range_not_satisfiable: [416, "Range not satisfiable"],
  invalid_request: [422, "The request is not valid"],
  prompt_refused: [422, "The prompt is not allowed"],
  rate_limited: [429, "Too many requests"],
  too_many_generations: [429, "Too many generations at once"],
  quota_exceeded: [429, "The day's pictures are used up"],
  signature_invalid: [401, "The signature is not valid"],
  generation_failed: [500, "The picture could not be drawn"],
  still_drawing: [504, "The picture is not done yet"],
  internal: [500, "Internal error"],
  misconfigured: [500, "The service is not configured"],
  models_unknown: [503, "The models are not known yet"],
  moderation_unavailable: [503, "The prompt could not be checked"],
  output_unavailable: [503, "The output cannot be fetched yet"],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof PROBLEMS;

export const FieldError = z
  .object({
    pointer: z.string().openapi({
      description: "RFC 6901 JSON Pointer as a URI fragment; a query parameter is `#/<name>` too.",
      example: "#/width",
    }),
    detail: z.string(),
  })
  .openapi("FieldError");
export type FieldError = z.infer<typeof FieldError>;

export const Problem = z
  .object({
    type: z.string().openapi({
      description: "`urn:vignette:problem:` and the code; of every 429 the IETF's type for a quota that is used up.",
      example: "urn:vignette:problem:invalid_request",
    }),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: "What is wrong here, and the remedy." }),
    instance: z.string().openapi({ description: "The path of the request." }),
    code: z.string().openapi({ example: "invalid_request" }),
    request_id: z.string(),
    errors: z.array(FieldError).optional(),
    rule: z.string().optional().openapi({ description: "The rule of the policy that a prompt broke." }),
    "violated-policies": z.array(z.string()).optional().openapi({
      description: "Which of the `RateLimit-Policy` names ran out (draft-ietf-httpapi-ratelimit-headers).",
    }),
  })
  .openapi("Problem", {
    description: "RFC 9457 problem details, sent as application/problem+json.",
    example: {
      type: "urn:vignette:problem:invalid_request",
      title: "The request is not valid",
      status: 422,
      detail: "#/width: Must be a multiple of 8.",
      instance: "/v1/generations",
      code: "invalid_request",
      request_id: "req_01jdd5m0000000000000000000",
      errors: [{ pointer: "#/width", detail: "Must be a multiple of 8." }],
    },
  });
export type Problem = z.infer<typeof Problem>;

/** `#/a/0/b`, escaped as RFC 6901 sections 3 and 6 say. */
export function pointer(path: readonly PropertyKey[]): string {
  // A field's name may hold half of a surrogate pair, which no URI can.
  const escaped = path.map((part) =>
    encodeURIComponent(String(part).toWellFormed().replaceAll("~", "~0").replaceAll("/", "~1")),
  );
  return ["#", ...escaped].join("/");
}
