/** What a request's `Cache-Control` asks for (RFC 9111 section 5.2.1); other directives are ignored. */
export function cacheWish(header: string | undefined): "default" | "no-cache" | "no-store" {
  const directives = (header ?? "")
    .toLowerCase()
    .split(",")
    .map((part) => part.trim());
  if (directives.includes("no-store")) return "no-store";
  return directives.includes("no-cache") || directives.includes("max-age=0") ? "no-cache" : "default";
}
