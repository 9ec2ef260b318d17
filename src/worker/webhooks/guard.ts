import ipaddr from "ipaddr.js";

/** Names that only ever mean something inside a network (RFC 6761, RFC 6762, RFC 9476's neighbours). */
const INNER = /(?:^|\.)(?:localhost|local|internal|intranet|lan|home|corp|test|invalid|example|onion|home\.arpa)$/;

export interface GuardOptions {
  /** Lets loopback through, over http and on any port: development alone. */
  allowLocal: boolean;
  /** Where else messages may go. */
  ports: readonly number[];
  /** The name of this very service, which is nobody's receiver. */
  ownHost: string;
}

/** What is wrong with a receiver's address, in a sentence; null when nothing is that the text alone could tell. */
export function faultOfUrl(text: string, { allowLocal, ports, ownHost }: GuardOptions): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url) return "This is not a URL.";
  if (url.username || url.password) return "A URL with a user name or password is not possible; leave them out.";
  if (url.hash) return "A fragment never reaches a server; leave out what follows #.";
  if (allowLocal && isLoopback(url.hostname))
    return url.protocol === "http:" || url.protocol === "https:" ? null : "Use https.";
  if (url.protocol !== "https:") return "Use https.";
  if (!ports.includes(Number(url.port || 443))) return `Use port ${ports.join(" or ")}.`;
  const host = withoutDot(url.hostname);
  if (host === withoutDot(ownHost)) return "This is Vignette itself; name a server of yours.";
  const literal = address(host);
  if (literal) return isPublic(literal) ? null : "This address is not reachable from the public internet.";
  if (!host.includes(".") || INNER.test(host)) return "This name is not reachable from the public internet.";
  return null;
}

/** Whether the host of a checked URL is one that needs no resolving. */
export function isResolved(url: string, { allowLocal }: Pick<GuardOptions, "allowLocal">): boolean {
  const { hostname } = new URL(url);
  return address(hostname) !== null || (allowLocal && isLoopback(hostname));
}

/** Whether an IP address is one of the public internet. */
export function isPublicAddress(text: string): boolean {
  const parsed = address(text);
  return parsed !== null && isPublic(parsed);
}

/** A name with the root's dot is the same name (RFC 1034 section 3.1). */
const withoutDot = (host: string) => host.replace(/\.+$/, "");

function isLoopback(host: string): boolean {
  return host === "localhost" || address(host)?.range() === "loopback";
}

function address(host: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  const bare = host.replace(/^\[|\]$/g, "");
  return ipaddr.isValid(bare) ? ipaddr.parse(bare) : null;
}

/** Only plain unicast: what embeds another address (mapped, 6to4, NAT64, Teredo) could mean an inner one. */
function isPublic(parsed: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return parsed.range() === "unicast";
}
