import type { QuotaLeft } from "./rules.ts";

/**
 * The unit of a quota where that is not requests (draft-ietf-httpapi-ratelimit-headers, section 3.1.2). Its registry has none
 * for pictures, so that one is ours.
 */
function unitOf({ policy, windowSeconds }: QuotaLeft): string {
  if (windowSeconds === null) return ';qu="concurrent-requests"';
  return policy === "requests" ? "" : ';qu="images"';
}

/** `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): times are seconds from now. */
export function rateLimitHeaders(quotas: QuotaLeft[], now: number): Record<string, string> {
  if (quotas.length === 0) return {};
  return {
    "RateLimit-Policy": quotas
      .map((quota) => {
        const { policy, limit, windowSeconds } = quota;
        return `"${policy}";q=${limit}${unitOf(quota)}${windowSeconds === null ? "" : `;w=${windowSeconds}`}`;
      })
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
