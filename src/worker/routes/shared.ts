import type { Scope } from "../../contract/keys.ts";
import { Problem } from "../../contract/problem.ts";
import { z } from "../../contract/zod.ts";

const MEANINGS: Record<number, string> = {
  400: "The body is not JSON or not UTF-8.",
  401: "No good API key.",
  403: "The key may not do this.",
  404: "No such thing in the key's account.",
  409: "Not possible in its present state.",
  410: "The request's generation was deleted.",
  413: "The body is too large.",
  415: "The body is not application/json.",
  416: "The range lies outside the image.",
  422: "A field is at fault; `errors` names each.",
  429: "A limit is reached; `Retry-After` says when to try again, `violated-policies` which one.",
  503: "Not possible right now; `Retry-After` says when.",
};

const problem = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: Problem } },
});

/** OpenAPI responses for these statuses and for what nobody foresees, all problem+json. */
export function problems(...statuses: number[]) {
  return {
    ...Object.fromEntries(statuses.map((status) => [status, problem(MEANINGS[status] ?? "A problem.")])),
    default: problem("Anything else that goes wrong, here (500) or on the way."),
  };
}

/** @param example where the schema's own one would mislead */
export function json<T extends z.ZodType>(schema: T, description: string, example?: unknown) {
  return { description, content: { "application/json": { schema, ...(example === undefined ? {} : { example }) } } };
}

/** What OpenAPI says about a route that needs a key with this scope. */
export function secured(scope: Scope) {
  return { security: [{ key: [] }], "x-scope": scope };
}

export const idParams = z.object({ id: z.string() });

export const PreferHeader = z.object({
  prefer: z
    .string()
    .optional()
    .openapi({ description: "RFC 7240: `wait=N` holds the answer back until the end, at most N seconds (1 to 60)." }),
});

/** What else of a request for a picture stands in its headers. */
export const CreateHeaders = z.object({
  "idempotency-key": z.string().optional().openapi({
    description: "A request repeated with the same key within 24 hours gets the first answer and draws nothing.",
  }),
  "cache-control": z.string().optional().openapi({
    description: "`no-cache` draws a seeded request anew; `no-store` also keeps it from being shared.",
  }),
});

/** What an accepted request's answer says about the limits that hold for it. */
export const RateLimitHeaders = z.object({
  "RateLimit-Policy": z.string().optional().openapi({ example: '"requests";q=60;w=60' }),
  RateLimit: z.string().optional().openapi({ example: '"requests";r=59;t=1' }),
});

export const LocationHeader = z.object({ Location: z.string().openapi({ description: "The generation's URL." }) });

/** What signs a message of ours, as Standard Webhooks say. */
export const SignatureHeaders = z.object({
  "webhook-id": z.string().openapi({ description: "The same for every attempt." }),
  "webhook-timestamp": z.string().openapi({ description: "Seconds since 1970, of this attempt." }),
  "webhook-signature": z.string().openapi({ description: "`v1,` + base64; one for each secret, separated by spaces." }),
});
