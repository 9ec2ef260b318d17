const MAX_WAIT_SECONDS = 60;

/**
 * Seconds that a `Prefer` header allows for an answer (RFC 7240 section 4.3), 1 to 60; null when it asks for none. A
 * bare `wait` means as long as possible; other preferences and values that make no sense are ignored, as section 2 wants.
 */
export function waitSeconds(prefer: string | undefined): number | null {
  for (const part of (prefer ?? "").split(",")) {
    const match = /^\s*wait\s*(?:=\s*"?(\d{1,6})"?)?\s*(?:;.*)?$/i.exec(part);
    if (!match) continue;
    const seconds = match[1] === undefined ? MAX_WAIT_SECONDS : Number(match[1]);
    return seconds >= 1 ? Math.min(seconds, MAX_WAIT_SECONDS) : null;
  }
  return null;
}
