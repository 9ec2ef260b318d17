import type { CreateGeneration, Parameters } from "../../contract/generation.ts";
import type { Model } from "../../contract/models.ts";
import type { FieldError } from "../../contract/problem.ts";
import { charactersOf } from "../../contract/terms.ts";
import { leastTokens } from "../policy/tokens.ts";
import { invalid } from "../refusal.ts";

/** A request with every choice made. */
export interface Resolved {
  model: string;
  /** Of the model: other weights draw another picture. */
  version: string;
  adapter: { id: string; scale: number } | null;
  negativePrompt: string | null;
  parameters: Parameters;
}

/**
 * Fills what the request leaves open from the model's defaults and holds it against the model's limits.
 *
 * @param freshSeed the seed when none was given
 * @throws {import("../refusal.ts").Refusal} invalid_request, with every field at fault
 */
export function resolve(request: CreateGeneration, models: Model[], freshSeed: number): Resolved {
  const model =
    request.model === undefined ? models.find((each) => each.default) : models.find(({ id }) => id === request.model);
  if (!model)
    throw invalid([
      {
        pointer: "#/model",
        detail: unknown(
          "model",
          request.model ?? "(default)",
          models.map(({ id }) => id),
        ),
      },
    ]);
  const { defaults, limits } = model;
  const parameters: Parameters = {
    width: request.width ?? defaults.width,
    height: request.height ?? defaults.height,
    num_inference_steps: request.num_inference_steps ?? defaults.num_inference_steps,
    guidance_scale: request.guidance_scale ?? defaults.guidance_scale,
    scheduler: request.scheduler ?? defaults.scheduler,
    seed: request.seed ?? freshSeed,
    num_images: request.num_images,
    output_format: request.output_format,
  };
  const adapter = chooseAdapter(request, model);
  const errors = [
    length("prompt", request.prompt, limits),
    length("negative_prompt", request.negative_prompt ?? "", limits),
    side("width", parameters.width, limits.min_width, limits.max_width, limits.multiple_of),
    side("height", parameters.height, limits.min_height, limits.max_height, limits.multiple_of),
    most("num_inference_steps", parameters.num_inference_steps, limits.max_steps),
    most("num_images", parameters.num_images, limits.max_images),
    model.schedulers.includes(parameters.scheduler)
      ? null
      : { pointer: "#/scheduler", detail: unknown("scheduler", parameters.scheduler, model.schedulers) },
    model.output_formats.includes(parameters.output_format)
      ? null
      : { pointer: "#/output_format", detail: unknown("format", parameters.output_format, model.output_formats) },
    adapter.error,
  ].filter((error) => error !== null);
  if (errors.length > 0) throw invalid(errors);
  return {
    model: model.id,
    version: model.version,
    adapter: adapter.chosen,
    negativePrompt: request.negative_prompt ?? (defaults.negative_prompt || null),
    parameters,
  };
}

function chooseAdapter(
  { adapter, adapter_scale }: CreateGeneration,
  model: Model,
): { chosen: Resolved["adapter"]; error: FieldError | null } {
  if (adapter === null) {
    const detail = "There is no adapter to scale: leave adapter_scale out, or name an adapter.";
    return { chosen: null, error: adapter_scale === undefined ? null : { pointer: "#/adapter_scale", detail } };
  }
  const found =
    adapter === undefined
      ? model.adapters.find((each) => each.default)
      : model.adapters.find(({ id }) => id === adapter);
  if (found) return { chosen: { id: found.id, scale: adapter_scale ?? model.defaults.adapter_scale }, error: null };
  if (adapter === undefined) return { chosen: null, error: null };
  const ids = model.adapters.map(({ id }) => id);
  return { chosen: null, error: { pointer: "#/adapter", detail: unknown("adapter", adapter, ids) } };
}

function length(
  field: string,
  text: string,
  { max_prompt_chars, max_prompt_tokens }: Model["limits"],
): FieldError | null {
  const pointer = `#/${field}`;
  const characters = charactersOf(text);
  if (characters > max_prompt_chars)
    return {
      pointer,
      detail: `${characters} characters are too many for this model; shorten it to ${max_prompt_chars}.`,
    };
  if (max_prompt_tokens !== null && leastTokens(text) > max_prompt_tokens)
    return { pointer, detail: `This model reads ${max_prompt_tokens} tokens, and this has more; shorten it.` };
  return null;
}

function side(field: string, value: number, min: number, max: number, multiple: number): FieldError | null {
  if (value >= min && value <= max && value % multiple === 0) return null;
  const nearest = Math.min(max, Math.max(min, Math.round(value / multiple) * multiple));
  const detail = `This model draws ${min} to ${max} pixels in multiples of ${multiple}; ${nearest} is the nearest.`;
  return { pointer: `#/${field}`, detail };
}

function most(field: string, value: number, max: number): FieldError | null {
  return value <= max ? null : { pointer: `#/${field}`, detail: `This model allows at most ${max}.` };
}

function unknown(what: string, value: string, known: string[]): string {
  const list = known.length > 0 ? `choose one of ${known.join(", ")}` : `there is none to choose, leave it out`;
  return `There is no ${what} "${value.slice(0, 100)}"; ${list}.`;
}
