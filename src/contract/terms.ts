// What the API's words mean, without the schemas: a web page takes these and leaves the validation library at home.

/** What any model may be asked for; a model's own, narrower limits stand in `/v1/models`. */
export const BOUNDS = {
  promptChars: 8000,
  side: 4096,
  steps: 1000,
  guidance: 50,
  adapterScale: 2,
  /** The largest seed that every image of a request fits above: image k is drawn with `seed + k`. */
  seed: 4_294_967_295,
  images: 4,
  previews: 8,
} as const;

export const OUTPUT_FORMATS = ["png", "jpeg", "webp"] as const;

export const STATUSES = ["queued", "running", "succeeded", "failed", "canceled"] as const;

/** How many characters a text has: Unicode code points, as JSON Schema's `maxLength` counts (RFC 8259 section 7). */
export function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Whether nothing can follow this status. */
export function isTerminal(status: (typeof STATUSES)[number]): boolean {
  return status === "succeeded" || status === "failed" || status === "canceled";
}

/** The events of a generation's stream. */
export const EVENT_NAMES = ["status", "progress", "preview", "completed"] as const;
