import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { ImageRow } from "../storage/images.ts";

/** An image by its unguessable name. @throws {Refusal} not_found */
export async function findImage(deps: Deps, token: string, extension: string): Promise<ImageRow> {
  const image = await deps.images.byToken(token);
  if (!image || image.extension !== extension) throw gone();
  return image;
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
  return new Refusal("not_found", "There is no such image; it may have been deleted.");
}
