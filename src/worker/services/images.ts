import type { Deps } from "../deps.ts";
import { Memory } from "../memory.ts";
import { Refusal } from "../refusal.ts";
import type { Age, ImageRow } from "../storage/images.ts";

/**
 * How long an isolate knows which object an image is: a trip to D1 less for each picture that many look at. Where another
 * generation shows the same object, a deleted picture's old name may go on working in other isolates for so long.
 */
const IMAGE_MEMORY_MS = 30_000;
const MEMORY_IMAGES = 5_000;
const images = new Memory<ImageRow & Age>({ ms: IMAGE_MEMORY_MS, entries: MEMORY_IMAGES });

/**
 * How long an isolate has a picture's bytes, which a channel full of people asks for in the same few seconds. The isolate
 * that deletes a picture forgets them at once; another may go on showing it for so long.
 */
const BYTES_MEMORY_MS = 10_000;
const MEMORY_PICTURES = 1_000;
/** Of 128 MiB that an isolate has. */
const MEMORY_BYTES = 32 * 1024 * 1024;
/** A PNG of 1,024 pixels has less; a longer one is streamed, each time anew. */
const MEMORY_BYTES_OF_ONE = 2 * 1024 * 1024;
const pictures = new Memory<{ generationId: string; bytes: Uint8Array<ArrayBuffer> }>({
  ms: BYTES_MEMORY_MS,
  entries: MEMORY_PICTURES,
  size: MEMORY_BYTES,
  sizeOf: ({ bytes }) => bytes.byteLength,
});

/** What was asked for just now: whoever asks again may be one of many. */
const asked = new Memory<true>({ ms: BYTES_MEMORY_MS, entries: MEMORY_IMAGES });

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
  const image = await lookUp(deps, token);
  if (!image || image.extension !== extension) throw gone();
  const { IMAGES_DAYS, GENERATIONS_DAYS } = deps.config;
  const days = [image.imagesDays ?? IMAGES_DAYS, image.generationsDays ?? GENERATIONS_DAYS].filter(
    (limit) => limit !== undefined,
  );
  const left = Math.floor((image.madeAt + Math.min(...days) * DAY_MS - deps.now()) / 1000);
  return { image, maxAge: days.length === 0 ? YEAR_S : Math.min(YEAR_S, Math.max(0, left)) };
}

/** Lets this isolate forget the images of generations that are gone. */
export function forgetImages(deps: Deps, generationIds: string[]): void {
  const gone = new Set(generationIds);
  images.forget(deps.config, ({ generationId }) => gone.has(generationId));
  pictures.forget(deps.config, ({ generationId }) => gone.has(generationId));
}

/** Lets this isolate look every image's age up anew: an account keeps its images for another time. */
export function forgetAges(deps: Deps): void {
  images.forget(deps.config, () => true);
}

async function lookUp(deps: Deps, token: string): Promise<(ImageRow & Age) | null> {
  const known = images.get(deps.config, token, deps.now());
  if (known) return known;
  const image = await deps.images.byToken(token);
  if (image) images.set(deps.config, token, image, deps.now());
  return image;
}

/** Its bytes, or a part of them. @throws {Refusal} not_found */
export async function openImage(
  deps: Deps,
  image: ImageRow,
  range?: { offset: number; length: number },
): Promise<ReadableStream | Uint8Array<ArrayBuffer>> {
  const { objectKey, generationId } = image;
  const now = deps.now();
  const known = pictures.get(deps.config, objectKey, now);
  if (known) return range ? known.bytes.subarray(range.offset, range.offset + range.length) : known.bytes;
  const again = asked.get(deps.config, objectKey, now);
  const body = await deps.objects.get(objectKey, range);
  if (!body) throw gone();
  asked.set(deps.config, objectKey, true, now);
  // What is asked for once goes on as R2 sends it, from its first byte, and drives nothing out of memory.
  if (!again || range || image.bytes > MEMORY_BYTES_OF_ONE) return body;
  const bytes = new Uint8Array(await new Response(body).arrayBuffer());
  pictures.set(deps.config, objectKey, { generationId, bytes }, now);
  return bytes;
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
