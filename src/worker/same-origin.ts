const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|\[::1\])$/;

/**
 * Whether a request comes from a page of this very origin in a browser on this machine: the address is a loopback one,
 * which a name that was rebound to it is not, and the browser itself says that the page belongs here
 * (Fetch Metadata, w3.org/TR/fetch-metadata).
 */
export function fromThisMachine(request: Request): boolean {
  const { origin, hostname } = new URL(request.url);
  return (
    LOOPBACK.test(hostname) &&
    request.headers.get("Sec-Fetch-Site") === "same-origin" &&
    request.headers.get("Origin") === origin
  );
}
