import type { CreateGenerationInput, Generation } from "../../contract/generation.ts";
import type { Model } from "../../contract/models.ts";
import { BOUNDS, charactersOf } from "../../contract/terms.ts";
import { readRatio, sizeFor } from "./ratio.ts";
import type { ImagineRequest } from "./request.ts";
import { type Sentence, sentence } from "./strings.ts";
import { findStyle, styleNames, withPhrase } from "./styles.ts";
import { oneLine } from "./text.ts";

/** What is asked of the API, without whose it is. */
export type Order = Omit<CreateGenerationInput, "user" | "metadata">;

/** What a platform takes in one message (Discord: 25 MiB), whatever it takes of one file. */
const MESSAGE_BYTES = 24 * 1024 * 1024;
const BYTES_PER_PIXEL = 3;

/**
 * Slack shows no webp and Discord previews png best, which is never larger than its pixels; where those might not fit, jpeg.
 * @param limit bytes that a file may have
 */
function formatOf(
  { width, height, num_images = 1 }: Pick<Order, "width" | "height" | "num_images">,
  limit = MESSAGE_BYTES,
) {
  const bytes = (width ?? 0) * (height ?? 0) * BYTES_PER_PIXEL;
  return bytes > limit || bytes * num_images > MESSAGE_BYTES ? "jpeg" : "png";
}

/**
 * Turns a request into the API's words, or says what the models cannot do.
 * @param limit bytes that a file may have where it is to be shown
 */
export function orderFor(
  request: ImagineRequest,
  models: readonly Model[],
  limit?: number,
): { order: Order } | { complaint: Sentence } {
  const style = request.style === null ? null : findStyle(request.style, models);
  if (request.style !== null && !style)
    return {
      complaint: sentence("style_bad", {
        value: oneLine(request.style, 40),
        styles: styleNames(models).join(", "),
      }),
    };
  const model = models.find(({ id, default: main }) => (style?.model ? id === style.model : main));
  const prompt = style?.phrase ? withPhrase(request.prompt, style.phrase) : request.prompt;
  const ratio = request.ratio === null ? null : readRatio(request.ratio);
  if (model) {
    const length = charactersOf(prompt);
    if (length > model.limits.max_prompt_chars)
      return { complaint: sentence("prompt_long", { length, limit: model.limits.max_prompt_chars }) };
    if (request.count > model.limits.max_images)
      return { complaint: sentence("count_bad", { value: request.count, limit: model.limits.max_images }) };
  }
  const size = ratio !== null && model ? sizeFor(ratio, model) : {};
  return {
    order: {
      prompt,
      output_format: formatOf({ ...model?.defaults, ...size, num_images: request.count }, limit),
      num_images: request.count,
      ...(request.avoid === null ? {} : { negative_prompt: request.avoid }),
      ...(style?.model ? { model: style.model } : {}),
      ...(request.seed === null ? {} : { seed: request.seed }),
      ...size,
    },
  };
}

/** The same wish again: everything but chance. */
export function again({ model, adapter, prompt, negative_prompt, parameters }: Generation, limit?: number): Order {
  const { seed: _, ...settings } = parameters;
  return {
    ...settings,
    model,
    prompt,
    adapter: adapter?.id ?? null,
    ...(adapter ? { adapter_scale: adapter.scale } : {}),
    ...(negative_prompt === null || negative_prompt === "" ? {} : { negative_prompt }),
    output_format: formatOf(settings, limit),
  };
}

/**
 * A sibling of one image: its seed, so that the composition stays, under another guidance.
 * @param random 0 to 1, below 1
 */
export function vary(generation: Generation, index: number, random: number, limit?: number): Order {
  const seed = generation.images.find((image) => image.index === index)?.seed ?? generation.parameters.seed + index;
  // From two thirds to one and a half, leaving out the middle where nothing would change.
  const factor = random < 0.5 ? 0.67 + 0.36 * random : 1.15 + 0.7 * (random - 0.5);
  const guidance = Math.round(generation.parameters.guidance_scale * factor * 100) / 100;
  return {
    ...again({ ...generation, parameters: { ...generation.parameters, num_images: 1 } }, limit),
    seed,
    guidance_scale: Math.min(BOUNDS.guidance, Math.max(1, guidance)),
  };
}
