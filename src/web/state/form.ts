import { RATIOS, readRatio, sizeFor } from "../../bots/core/ratio.ts";
import { findStyle, styleNames, withoutPhrase, withPhrase } from "../../bots/core/styles.ts";
import type { CreateGenerationInput, Generation } from "../../contract/generation.ts";
import type { Model } from "../../contract/models.ts";

/** What the form holds; null leaves a choice to the model. */
export interface Draft {
  prompt: string;
  avoid: string;
  model: string | null;
  style: string | null;
  adapter: boolean;
  scale: number | null;
  ratio: string | null;
  count: number;
  seed: number | null;
  steps: number | null;
  guidance: number | null;
  scheduler: string | null;
}

export const EMPTY: Draft = {
  prompt: "",
  avoid: "",
  model: null,
  style: null,
  adapter: true,
  scale: null,
  ratio: null,
  count: 1,
  seed: null,
  steps: null,
  guidance: null,
  scheduler: null,
};

/** Styles that are words added to the sentence; models are chosen by name. */
export const phraseStyles = styleNames([]);

/** The form in the API's words. */
export function requestOf(form: Draft, models: readonly Model[] | null): CreateGenerationInput {
  const model = modelOf(form.model, models);
  const phrase = form.style === null ? undefined : findStyle(form.style, [])?.phrase;
  const prompt = form.prompt.trim();
  const ratio = form.ratio === null ? null : readRatio(form.ratio);
  const adapter = form.adapter ? {} : { adapter: null };
  return {
    prompt: phrase ? withPhrase(prompt, phrase) : prompt,
    ...adapter,
    ...(form.avoid.trim() === "" ? {} : { negative_prompt: form.avoid.trim() }),
    ...(form.model === null ? {} : { model: form.model }),
    ...(form.scale === null || !form.adapter ? {} : { adapter_scale: form.scale }),
    ...(ratio === null || !model ? {} : sizeFor(ratio, model)),
    ...(form.count === 1 ? {} : { num_images: form.count }),
    ...(form.seed === null ? {} : { seed: form.seed }),
    ...(form.steps === null ? {} : { num_inference_steps: form.steps }),
    ...(form.guidance === null ? {} : { guidance_scale: form.guidance }),
    ...(form.scheduler === null ? {} : { scheduler: form.scheduler }),
  };
}

/** The form that a generation came from, its seed left to chance again. */
export function draftOf(generation: Generation, models: readonly Model[] | null): Draft {
  const { prompt, negative_prompt, adapter, parameters } = generation;
  const model = models?.find(({ id }) => id === generation.model) ?? null;
  const style = phraseStyles.find((name) => withoutPhrase(prompt, name) !== prompt) ?? null;
  const other = <T>(value: T, usual: T | undefined): T | null => (value === usual ? null : value);
  return {
    prompt: withoutPhrase(prompt, style),
    avoid: negative_prompt ?? "",
    model: model && !model.default ? model.id : null,
    style,
    adapter: adapter !== null,
    scale: adapter && other(adapter.scale, model?.defaults.adapter_scale),
    ratio: model ? ratioOf(parameters, model) : null,
    count: parameters.num_images,
    seed: null,
    steps: other(parameters.num_inference_steps, model?.defaults.num_inference_steps),
    guidance: other(parameters.guidance_scale, model?.defaults.guidance_scale),
    scheduler: other(parameters.scheduler, model?.defaults.scheduler),
  };
}

function ratioOf({ width, height }: { width: number; height: number }, model: Model): string | null {
  const { defaults } = model;
  if (width === defaults.width && height === defaults.height) return null;
  const same = RATIOS.find((ratio) => {
    const size = sizeFor(readRatio(ratio) ?? 1, model);
    return size.width === width && size.height === height;
  });
  return same ?? `${width}:${height}`;
}

/** The model with this id, or the default one. */
export function modelOf(id: string | null, models: readonly Model[] | null): Model | null {
  return models?.find((model) => (id ? model.id === id : model.default)) ?? models?.[0] ?? null;
}
