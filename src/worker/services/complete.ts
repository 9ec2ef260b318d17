import { isTerminal, type OutputFormat } from "../../contract/generation.ts";
import { hashBytes, randomToken } from "../bytes.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { Prediction } from "../runner/prediction.ts";
import type { GenerationRow } from "../storage/generations.ts";
import type { StoredImage } from "../storage/images.ts";
import { failRow } from "./finish.ts";
import { formatOf, IMAGE_TYPES } from "./image-format.ts";
import { toGeneration } from "./view.ts";

/** An output that will never become an image; the sentence is for the user. */
class Unusable extends Error {}

/**
 * Copies a finished prediction's images to R2 and ends its generation. Safe to run twice and at the same time: the
 * bytes go to the same keys, and one guarded UPDATE decides whose image rows stand.
 *
 * @throws {Refusal} output_unavailable: nothing has ended, try again
 */
export async function complete(deps: Deps, id: string, prediction: Prediction): Promise<void> {
  const row = await deps.generations.load(id);
  if (!row || isTerminal(row.status)) return;
  let images: StoredImage[];
  try {
    images = await Promise.all(
      outputs(prediction, row.parameters.num_images).map((url, position) =>
        copy(deps, row, url, position, prediction.metrics.flagged?.[position] ?? false),
      ),
    );
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    await failRow(deps, id, "output_lost", error.message);
    return;
  }
  const at = deps.now();
  const runMs = prediction.metrics.predict_time == null ? null : Math.round(prediction.metrics.predict_time * 1000);
  const startedAt = Math.max(row.createdAt, at - (runMs ?? 0));
  const ended = await deps.generations.succeed(id, {
    at,
    startedAt,
    runMs,
    reading: prediction.metrics.reading ?? null,
    images,
  });
  if (ended) {
    const generation = toGeneration(ended, images, { publicUrl: deps.config.PUBLIC_URL });
    await deps.live(id).report({ type: "completed", data: generation });
    return;
  }
  // Lost to a cancel or a delete: the bytes just stored belong to nobody.
  if ((await deps.generations.load(id))?.status !== "succeeded") await deps.objects.removeAll(id);
}

function outputs({ output }: Prediction, expected: number): string[] {
  const urls = Array.isArray(output) ? output : [output];
  if (urls.length === expected && urls.every((url) => typeof url === "string")) return urls;
  throw new Unusable(`The runner gave ${Array.isArray(output) ? output.length : 0} of ${expected} images.`);
}

async function copy(
  deps: Deps,
  row: GenerationRow,
  url: string,
  position: number,
  flagged: boolean,
): Promise<StoredImage> {
  const reply = await deps.runner.download(url);
  if (reply.kind === "unavailable")
    throw new Refusal("output_unavailable", reply.detail, { headers: { "Retry-After": "2" } });
  if (reply.kind !== "bytes") throw new Unusable(reply.detail);
  const format = row.parameters.output_format;
  if (formatOf(reply.bytes) !== format) throw new Unusable(`The runner's output ${position} is not a ${format} image.`);
  return store(deps, row, reply.bytes, { position, flagged, format });
}

async function store(
  deps: Deps,
  row: GenerationRow,
  bytes: ArrayBuffer,
  { position, flagged, format }: { position: number; flagged: boolean; format: OutputFormat },
): Promise<StoredImage> {
  const { extension, contentType } = IMAGE_TYPES[format];
  const sha256 = await hashBytes(bytes);
  const objectKey = deps.objects.key(row.id, sha256, extension);
  await deps.objects.put(objectKey, bytes, contentType, sha256);
  return {
    token: randomToken(),
    position,
    objectKey,
    sha256,
    extension,
    contentType,
    bytes: bytes.byteLength,
    width: row.parameters.width,
    height: row.parameters.height,
    seed: row.parameters.seed + position,
    flagged,
  };
}
