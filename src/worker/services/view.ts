import { type Generation, type Image, isTerminal, type Progress } from "../../contract/generation.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { ImageRow, StoredImage } from "../storage/images.ts";

/** An image that may have a public page; a new one has none. */
type Shareable = StoredImage & Partial<Pick<ImageRow, "share">>;

/** The generation object of the API from its row, its images and what is live of it. */
export function toGeneration(
  row: GenerationRow,
  images: Shareable[],
  { publicUrl, progress = null }: { publicUrl: string; progress?: Progress | null },
): Generation {
  const self = `${publicUrl}/v1/generations/${row.id}`;
  return {
    id: row.id,
    object: "generation",
    status: row.status,
    created_at: rfc3339(row.createdAt),
    started_at: rfc3339(row.startedAt),
    completed_at: rfc3339(row.completedAt),
    model: row.model,
    adapter: row.adapter,
    prompt: row.prompt,
    negative_prompt: row.negativePrompt,
    parameters: row.parameters,
    reading: row.reading,
    notice: row.notice,
    progress: isTerminal(row.status) ? null : progress,
    images: images.map((image) => imageOf(image, publicUrl)),
    error: row.error,
    cached: row.cached,
    metrics: {
      queue_ms: row.startedAt === null ? null : row.startedAt - row.createdAt,
      run_ms: row.runMs,
      total_ms: row.completedAt === null ? null : row.completedAt - row.createdAt,
    },
    user: row.user,
    metadata: row.metadata,
    urls: { self, cancel: `${self}/cancel`, events: `${self}/events` },
  };
}

export function imageOf(image: Shareable, publicUrl: string): Image {
  return {
    index: image.position,
    url: `${publicUrl}/i/${image.token}.${image.extension}`,
    width: image.width,
    height: image.height,
    content_type: image.contentType,
    sha256: image.sha256,
    seed: image.seed,
    flagged: image.flagged,
    share_url: image.share ? shareUrl(publicUrl, image.share.token) : null,
  };
}

export function shareUrl(publicUrl: string, token: string): string {
  return `${publicUrl}/s/${token}`;
}

export function rfc3339(time: number): string;
export function rfc3339(time: number | null): string | null;
export function rfc3339(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
