/** Why the runner did not take a request. */
export type RunnerFault =
  /** It is well and has no room. */
  | { kind: "busy"; retryAfter: number | null; detail: string }
  /** It is ill or away. `uncertain`: it may have taken the request all the same. */
  | { kind: "unavailable"; retryAfter: number | null; detail: string; uncertain: boolean }
  | { kind: "missing"; detail: string }
  | { kind: "rejected"; detail: string };

/** 424 Failed Dependency: the SDK retries 429 and, for GET, 5xx at once and up to six times; this it never retries. */
const FAULT_STATUS = 424;
const TIMEOUT_MS = 10_000;

const faults = new WeakMap<Response, RunnerFault>();

/** The fault behind an SDK's ApiError, or null when the error is of another kind. */
export function faultOf(error: unknown): RunnerFault | null {
  const response = (error as { response?: unknown } | null)?.response;
  return response instanceof Response ? (faults.get(response) ?? null) : null;
}

/**
 * A `fetch` for the `replicate` SDK that closes its traps: where a request names its id, creating is a PUT (idempotent,
 * so a repeat after a lost answer starts nothing twice) and asynchronous; busy, broken and unreachable runners become a
 * status that the SDK does not retry, because the queue owns the waiting.
 */
export function safeFetch(
  fetcher: typeof fetch,
): (input: Request | string | URL, init?: RequestInit) => Promise<Response> {
  return async function runnerFetch(input, init = {}) {
    const request = rewritten(String(input instanceof Request ? input.url : input), init);
    let response: Response;
    try {
      response = await fetcher(request.url, {
        ...request.init,
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      return failed(unavailable("The runner does not answer.", { uncertain: true }));
    }
    if (response.ok) return response;
    return failed(await fault(response, request.init.method));
  };
}

function rewritten(url: string, init: RequestInit): { url: string; init: RequestInit } {
  if (init.method !== "POST" || typeof init.body !== "string") return { url, init };
  const create = /^(.*?)\/(?:models\/([^/]+\/[^/]+)\/)?predictions$/.exec(url);
  const body = JSON.parse(init.body);
  if (!create || typeof body.id !== "string") return { url, init };
  const [, base, model] = create;
  const headers = new Headers(init.headers);
  headers.set("Prefer", "respond-async");
  return {
    url: `${base}/predictions/${encodeURIComponent(body.id)}`,
    init: { ...init, method: "PUT", headers, body: JSON.stringify(model ? { ...body, model } : body) },
  };
}

function failed(fault: RunnerFault): Response {
  const response = new Response(fault.detail, { status: FAULT_STATUS });
  faults.set(response, fault);
  return response;
}

/** A runner that is ill. */
export function unavailable(
  detail: string,
  { retryAfter = null, uncertain = false }: { retryAfter?: number | null; uncertain?: boolean } = {},
): Extract<RunnerFault, { kind: "unavailable" }> {
  return { kind: "unavailable", retryAfter, detail, uncertain };
}

async function fault(response: Response, method: string | undefined): Promise<RunnerFault> {
  const { status } = response;
  const detail = sentence(await response.text().catch(() => "")) ?? `The runner answered ${status}.`;
  const later = retryAfter(response.headers.get("Retry-After")) ?? reset(status, detail);
  switch (status) {
    case 404:
    case 410:
      // A runner makes what a PUT names: this is a proxy's word that has no runner behind it now.
      return method === "PUT" ? unavailable(detail) : { kind: "missing", detail };
    case 400:
    case 413:
    case 415:
    case 422:
      return { kind: "rejected", detail };
    // 409 is Cog's word for a taken slot, 429 Replicate's for too many requests.
    case 409:
    case 429:
      return { kind: "busy", retryAfter: later, detail };
    // Our runner names a time when it is full; a proxy without anything behind it, and a Cog that still sets up, do not.
    case 503:
      return later === null ? unavailable(detail) : { kind: "busy", retryAfter: later, detail };
    // 401 and 403 are an operator's mistake that waiting survives: the generation stays until its deadline.
    default:
      return unavailable(detail, { retryAfter: later, uncertain: status === 502 || status === 504 });
  }
}

/** Replicate tells the time in its sentence only: "Your rate limit resets in ~30s." */
function reset(status: number, detail: string): number | null {
  const seconds = status === 429 ? /resets in ~?(\d{1,4})s/.exec(detail)?.[1] : undefined;
  return seconds === undefined ? null : Number(seconds);
}

/** Seconds of a `Retry-After` (RFC 9110 section 10.2.3), delay or date; null when absent or unreadable. */
export function retryAfter(value: string | null, now: number = Date.now()): number | null {
  if (!value) return null;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : Math.ceil((Date.parse(value) - now) / 1000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

/** The words of an error body: `{detail}` as Replicate says it, or FastAPI's `{detail: [{loc, msg}]}`. */
function sentence(text: string): string | null {
  try {
    const { detail, error, title } = JSON.parse(text);
    if (Array.isArray(detail)) {
      const parts = detail.map(({ loc, msg }) =>
        [Array.isArray(loc) ? loc.at(-1) : null, msg].filter(Boolean).join(": "),
      );
      return clip(parts.join("; "));
    }
    const words = detail ?? error ?? title;
    return typeof words === "string" && words !== "" ? clip(words) : null;
  } catch {
    return null;
  }
}

function clip(text: string): string {
  return text.length > 500 ? `${text.slice(0, 499)}…` : text;
}
