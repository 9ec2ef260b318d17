import { isTerminal, type OutputFormat } from "../../contract/generation.ts";
import { hashBytes, randomToken } from "../bytes.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { Backend } from "../runner/backend.ts";
import type { Prediction } from "../runner/prediction.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { StoredImage } from "../storage/images.ts";
import { release } from "./admit.ts";
import { failRow } from "./finish.ts";
import { settleFollowers } from "./followers.ts";
import { formatOf, IMAGE_TYPES } from "./image-format.ts";
import { removeStrays } from "./images.ts";
import { toGeneration } from "./view.ts";
import { announce } from "./webhook-delivery.ts";

/** An output that will never become an image; the sentence is for the user. */
class Unusable extends Error {}

/**
 * Copies a finished prediction's images to R2 and ends its generation. Safe to run twice and at the same time: the
 * bytes go to the same keys, and one guarded UPDATE decides whose image rows stand.
 *
 * @throws {Refusal} output_unavailable: nothing has ended, try again
 */
export async function complete(deps: Deps, id: string, prediction: Prediction, runner: Backend): Promise<void> {
  // The row and the bytes do not need each other until both are here.
  const [row, copied] = await Promise.all([deps.generations.load(id), settled(copyAll(deps, id, prediction, runner))]);
  if (!row || isTerminal(row.status)) return discard(deps, id);
  try {
    const images = toImages(row, prediction, copied.unwrap());
    await succeed(deps, row, prediction, images);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    await failRow(deps, id, "output_lost", error.message);
    await discard(deps, id);
  }
}

async function succeed(deps: Deps, row: GenerationRow, { metrics }: Prediction, images: StoredImage[]): Promise<void> {
  const at = deps.now();
  const runMs = metrics.predict_time == null ? null : Math.round(metrics.predict_time * 1000);
  const startedAt = Math.max(row.createdAt, at - (runMs ?? 0));
  const ended = await deps.generations.succeed(row.id, {
    at,
    startedAt,
    runMs,
    reading: metrics.reading ?? null,
    notice: metrics.notice ?? null,
    images,
  });
  if (ended) {
    deps.metrics.end(ended);
    announce(deps, row.id);
    const generation = toGeneration(ended, images, { publicUrl: deps.config.PUBLIC_URL });
    await Promise.all([
      deps.live(row.id).report({ type: "completed", data: generation }),
      release(deps, ended, { refund: false }),
      settleFollowers(deps, row.id),
    ]);
    return;
  }
  await discard(deps, row.id);
}

/** The bytes just stored belong to nobody, unless another completion of the same generation succeeded with them. */
async function discard(deps: Deps, id: string): Promise<void> {
  if ((await deps.generations.load(id))?.status !== "succeeded") await removeStrays(deps, id);
}

interface Copied {
  objectKey: string;
  sha256: string;
  bytes: number;
  format: OutputFormat;
}

function copyAll(deps: Deps, id: string, { output }: Prediction, runner: Backend): Promise<Copied[]> {
  const urls = Array.isArray(output) ? output : [output];
  return Promise.all(urls.map((url) => copy(deps, id, url, runner)));
}

async function copy(deps: Deps, id: string, url: unknown, runner: Backend): Promise<Copied> {
  if (typeof url !== "string") throw new Unusable("The runner gave no image.");
  const reply = await runner.download(url);
  if (reply.kind === "unavailable" || reply.kind === "busy")
    throw new Refusal("output_unavailable", reply.detail, { headers: { "Retry-After": "2" } });
  if (reply.kind !== "bytes") throw new Unusable(reply.detail);
  const format = formatOf(reply.bytes);
  if (!format) throw new Unusable("The runner's output is not a PNG, JPEG or WebP image.");
  const sha256 = await hashBytes(reply.bytes);
  const objectKey = deps.objects.key(id, sha256, IMAGE_TYPES[format].extension);
  await deps.objects.put(objectKey, reply.bytes, IMAGE_TYPES[format].contentType, sha256);
  return { objectKey, sha256, bytes: reply.bytes.byteLength, format };
}

function toImages({ parameters }: GenerationRow, { metrics }: Prediction, copied: Copied[]): StoredImage[] {
  const { num_images, output_format, width, height, seed } = parameters;
  if (copied.length !== num_images) throw new Unusable(`The runner gave ${copied.length} of ${num_images} images.`);
  return copied.map(({ format, ...stored }, position) => {
    if (format !== output_format)
      throw new Unusable(`The runner gave a ${format} image where ${output_format} was asked for.`);
    const flagged = metrics.flagged?.[position] ?? false;
    return {
      ...stored,
      ...IMAGE_TYPES[format],
      token: randomToken(),
      position,
      width,
      height,
      seed: seed + position,
      flagged,
    };
  });
}

/** A promise's outcome as a value, so that it can be looked at later. */
async function settled<T>(promise: Promise<T>): Promise<{ unwrap: () => T }> {
  try {
    const value = await promise;
    return { unwrap: () => value };
  } catch (error) {
    return {
      unwrap: () => {
        throw error;
      },
    };
  }
}
