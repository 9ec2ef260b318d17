import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { ImageRow } from "../storage/images.ts";

const YEAR_S = 31_536_000;
const DAY_MS = 86_400_000;

/**
 * An image by its unguessable name, and for how many seconds it may be kept by whoever gets it: not longer than here.
 *
 * @throws {Refusal} not_found
 */
export async function findImage(
  deps: Deps,
  token: string,
  extension: string,
): Promise<{ image: ImageRow; maxAge: number }> {
  const image = await deps.images.byToken(token);
  if (!image || image.extension !== extension) throw gone();
  const { IMAGES_DAYS, GENERATIONS_DAYS } = deps.config;
  const days = [image.imagesDays ?? IMAGES_DAYS, image.generationsDays ?? GENERATIONS_DAYS].filter(
    (limit) => limit !== undefined,
  );
  const left = Math.floor((image.madeAt + Math.min(...days) * DAY_MS - deps.now()) / 1000);
  return { image, maxAge: days.length === 0 ? YEAR_S : Math.min(YEAR_S, Math.max(0, left)) };
}

/** Its bytes, or a part of them. @throws {Refusal} not_found */
export async function openImage(
  deps: Deps,
  image: ImageRow,
  range?: { offset: number; length: number },
): Promise<ReadableStream> {
  const body = await deps.objects.get(image.objectKey, range);
  if (!body) throw gone();
  return body;
}

/** Deletes what lies in a generation's folder and belongs to no image, its own or one that shares it. */
export async function removeStrays(deps: Deps, generationId: string): Promise<void> {
  const keys = await deps.objects.list(generationId);
  if (keys.length === 0) return;
  const referenced = await deps.images.referenced(keys);
  await deps.objects.remove(keys.filter((key) => !referenced.has(key)));
}

function gone(): Refusal {
  return new Refusal("not_found", "There is no such image; it may have been deleted, or be too old.");
}
