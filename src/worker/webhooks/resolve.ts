const PATIENCE_MS = 5_000;
/** DNS record types (RFC 1035, RFC 3596). */
const A = 1;
const AAAA = 28;

/** Looks a name up. @throws when the resolver does not answer, or `signal` ends it */
export type Resolve = (host: string, signal?: AbortSignal) => Promise<string[]>;

/**
 * The addresses of a name by DNS over HTTPS in its JSON form
 * (developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/make-api-requests/dns-json).
 */
export function dnsOverHttps(resolver: string, fetcher: typeof fetch): Resolve {
  return async function resolve(host, signal) {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    const until = signal ? AbortSignal.any([signal, patience]) : patience;
    const answers = await Promise.all([A, AAAA].map((type) => lookUp(resolver, host, type, fetcher, until)));
    return answers.flat();
  };
}

async function lookUp(
  resolver: string,
  host: string,
  type: number,
  fetcher: typeof fetch,
  signal: AbortSignal,
): Promise<string[]> {
  const url = new URL(resolver);
  url.searchParams.set("name", host);
  url.searchParams.set("type", String(type));
  const response = await fetcher(url, { headers: { Accept: "application/dns-json" }, signal });
  if (!response.ok) throw new Error(`The resolver answered ${response.status}.`);
  const { Answer = [] } = (await response.json()) as { Answer?: { type: number; data: string }[] };
  return Answer.filter((record) => record.type === type).map(({ data }) => data);
}
