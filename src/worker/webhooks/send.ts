import { faultOfUrl, type GuardOptions, isPublicAddress, isResolved } from "./guard.ts";
import type { Resolve } from "./resolve.ts";

/** Standard Webhooks: 15 to 30 s. */
const PATIENCE_MS = 15_000;
const USER_AGENT = "Vignette-Webhooks/1";

/** What became of one attempt. */
export type Outcome =
  | { kind: "delivered"; status: number }
  /** 410: the receiver wants no more. */
  | { kind: "gone"; status: number }
  | { kind: "failed"; status: number | null; error: string; retryAfter: string | null };

export interface SendOptions extends GuardOptions {
  resolve: Resolve;
  fetch: typeof fetch;
}

/** Sends one message. Only 2xx is success; a redirect is not followed, because it could lead anywhere. */
export async function send(
  url: string,
  body: string,
  headers: Record<string, string>,
  options: SendOptions,
): Promise<Outcome> {
  const fault = await receiverFault(url, options);
  if (fault) return { kind: "failed", status: null, error: fault, retryAfter: null };
  let response: Response;
  try {
    response = await options.fetch(url, {
      method: "POST",
      body,
      headers: { ...headers, "Content-Type": "application/json", "User-Agent": USER_AGENT },
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const late = (error as Error).name === "TimeoutError";
    const words = late ? `No answer within ${PATIENCE_MS / 1000} s.` : "The receiver could not be reached.";
    return { kind: "failed", status: null, error: words, retryAfter: null };
  }
  // Whatever it says besides its status is not read: it could be without end.
  await response.body?.cancel().catch(() => {});
  const { status } = response;
  if (response.ok) return { kind: "delivered", status };
  if (status === 410) return { kind: "gone", status };
  const error =
    status >= 300 && status < 400 ? "Redirects are not followed; give the final URL." : `It answered ${status}.`;
  return { kind: "failed", status, error, retryAfter: response.headers.get("Retry-After") };
}

type Guard = Omit<SendOptions, "fetch">;

/**
 * Why nothing may be sent there, in a sentence; null when it may. Names are looked up each time.
 *
 * @param signal ends the look-up, where less time is left than it may take
 */
export async function receiverFault(url: string, guard: Guard, signal?: AbortSignal): Promise<string | null> {
  return faultOfUrl(url, guard) ?? (await faultOfHost(url, guard, signal));
}

async function faultOfHost(url: string, guard: Guard, signal?: AbortSignal): Promise<string | null> {
  if (isResolved(url, guard)) return null;
  try {
    const addresses = await guard.resolve(new URL(url).hostname, signal);
    if (addresses.length === 0) return "The name has no address.";
    return addresses.every(isPublicAddress) ? null : "The name leads to an address that is not of the public internet.";
  } catch {
    return "The name could not be looked up.";
  }
}
