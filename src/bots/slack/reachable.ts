/** An address that Slack fetches a picture from: over https, from a public host. */
export function reachable(url: string): string | null {
  const { protocol, hostname } = new URL(url);
  const local = hostname === "localhost" || /^(127\.|10\.|192\.168\.|\[)/.test(hostname) || !hostname.includes(".");
  return protocol === "https:" && !local ? url : null;
}
