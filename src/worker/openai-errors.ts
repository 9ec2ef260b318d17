import type { OpenAIError } from "../contract/openai.ts";
import { type FieldError, PROBLEMS, type ProblemCode } from "../contract/problem.ts";
import type { Refusal } from "./refusal.ts";

export const OPENAI_PREFIX = "/v1/images/";
/** Where OpenAI has a word of its own. */
const CODES: Partial<Record<ProblemCode, string>> = { prompt_refused: "moderation_blocked" };
/** What a field of ours is called in OpenAI's request. */
const THEIRS: Record<string, string> = { width: "size", height: "size", num_images: "n" };

/** A refusal as OpenAI would say it; its SDKs make their exception classes from the status. */
export function openAIError(refusal: Refusal): Response {
  const [status] = PROBLEMS[refusal.code];
  const code = status === 422 ? 400 : status;
  return new Response(JSON.stringify(errorBody(refusal, code)), {
    status: code,
    headers: {
      ...refusal.headers,
      ...rateLimits(refusal.headers),
      ...retry(refusal, code),
      "Content-Type": "application/json",
    },
  });
}

export function errorBody(refusal: Refusal, status: number): OpenAIError {
  const at = refusal.errors?.[0];
  const param = at ? fieldOf(at) : null;
  const message = at && param ? `${param}: ${at.detail}` : refusal.message;
  return { error: { message, type: typeOf(refusal, status), param, code: CODES[refusal.code] ?? refusal.code } };
}

/** `x-ratelimit-*-requests` beside the IETF headers: what OpenAI's customers have code for. */
export function rateLimits(headers: Record<string, string>): Record<string, string> {
  const limit = /"requests";q=(\d+)/.exec(headers["RateLimit-Policy"] ?? "")?.[1];
  const [, left, reset] = /"requests";r=(\d+);t=(\d+)/.exec(headers.RateLimit ?? "") ?? [];
  return {
    ...(limit ? { "x-ratelimit-limit-requests": limit } : {}),
    ...(left ? { "x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": `${reset}s` } : {}),
  };
}

function typeOf(refusal: Refusal, status: number): string {
  if (refusal.code === "quota_exceeded") return "insufficient_quota";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

function fieldOf({ pointer }: FieldError): string | null {
  const name = decodeURIComponent(pointer.split("/")[1] ?? "");
  return name === "" ? null : (THEIRS[name] ?? name);
}

/** A conflict that waiting cannot end is not tried again by the SDKs, which would. */
function retry({ headers }: Refusal, status: number): Record<string, string> {
  return status === 409 && !("Retry-After" in headers) ? { "x-should-retry": "false" } : {};
}
