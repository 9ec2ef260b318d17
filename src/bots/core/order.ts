import type { CreateGenerationInput, Generation } from "../../contract/generation.ts";
import type { Model } from "../../contract/models.ts";
import { BOUNDS } from "../../contract/terms.ts";
import { readRatio, sizeFor } from "./ratio.ts";
import type { ImagineRequest } from "./request.ts";
import { type Sentence, sentence } from "./strings.ts";
import { findStyle, styleNames, withPhrase } from "./styles.ts";
import { oneLine } from "./text.ts";

/** What is asked of the API, without whose it is. */
export type Order = Omit<CreateGenerationInput, "user" | "metadata">;

/** Slack shows no webp and Discord previews png best. */
const FORMAT = "png";

/** Turns a request into the API's words, or says what the models cannot do. */
export function orderFor(
  request: ImagineRequest,
  models: readonly Model[],
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
    if (prompt.length > model.limits.max_prompt_chars)
      return {
        complaint: sentence("prompt_long", { length: prompt.length, limit: model.limits.max_prompt_chars }),
      };
    if (request.count > model.limits.max_images)
      return { complaint: sentence("count_bad", { value: request.count, limit: model.limits.max_images }) };
  }
  return {
    order: {
      prompt,
      output_format: FORMAT,
      num_images: request.count,
      ...(request.avoid === null ? {} : { negative_prompt: request.avoid }),
      ...(style?.model ? { model: style.model } : {}),
      ...(request.seed === null ? {} : { seed: request.seed }),
      ...(ratio !== null && model ? sizeFor(ratio, model) : {}),
    },
  };
}

/** The same wish again: everything but chance. */
export function again({ model, adapter, prompt, negative_prompt, parameters }: Generation): Order {
  const { seed: _, ...settings } = parameters;
  return {
    ...settings,
    model,
    prompt,
    adapter: adapter?.id ?? null,
    ...(adapter ? { adapter_scale: adapter.scale } : {}),
    ...(negative_prompt === null || negative_prompt === "" ? {} : { negative_prompt }),
    output_format: FORMAT,
  };
}

/**
 * A sibling of one image: its seed, so that the composition stays, under another guidance.
 * @param random 0 to 1, below 1
 */
export function vary(generation: Generation, index: number, random: number): Order {
  const seed = generation.images.find((image) => image.index === index)?.seed ?? generation.parameters.seed + index;
  // From two thirds to one and a half, leaving out the middle where nothing would change.
  const factor = random < 0.5 ? 0.67 + 0.36 * random : 1.15 + 0.7 * (random - 0.5);
  const guidance = Math.round(generation.parameters.guidance_scale * factor * 100) / 100;
  return {
    ...again(generation),
    num_images: 1,
    seed,
    guidance_scale: Math.min(BOUNDS.guidance, Math.max(1, guidance)),
  };
}
