import type { QuotaLeft } from "./rules.ts";

/** `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): times are seconds from now. */
export function rateLimitHeaders(quotas: QuotaLeft[], now: number): Record<string, string> {
  if (quotas.length === 0) return {};
  return {
    "RateLimit-Policy": quotas
      .map(({ policy, limit, windowSeconds }) =>
        windowSeconds === null
          ? `"${policy}";q=${limit};qu="concurrent-requests"`
          : `"${policy}";q=${limit};w=${windowSeconds}`,
      )
      .join(", "),
    RateLimit: quotas
      .map(({ policy, remaining, resetAt }) =>
        resetAt === null ? `"${policy}";r=${remaining}` : `"${policy}";r=${remaining};t=${secondsUntil(resetAt, now)}`,
      )
      .join(", "),
  };
}

export function secondsUntil(time: number, now: number): number {
  return Math.max(0, Math.ceil((time - now) / 1000));
}
