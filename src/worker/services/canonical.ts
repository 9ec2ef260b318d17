import { hashText } from "../bytes.ts";

/** JSON with every object's keys sorted and undefined left out (as RFC 8785 orders them): equal values, equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** SHA-256 of the canonical JSON, lower-case hex. */
export function fingerprintOf(value: unknown): Promise<string> {
  return hashText(canonicalJson(value));
}
