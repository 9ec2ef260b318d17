import { readFile } from "node:fs/promises";
import type { CreateGenerationInput, ModelList } from "../contract/index.ts";
import { z } from "../contract/zod.ts";
import { CliError } from "./error.ts";

/** What of a picture's recipe asks for the same picture again; the API checks the values. */
const Recipe = z.object({
  prompt: z.string(),
  negative_prompt: z.string(),
  model: z.string(),
  adapter: z.string().nullable(),
  adapter_scale: z.number().nullable(),
  loras: z.array(z.unknown()),
  width: z.number(),
  height: z.number(),
  num_inference_steps: z.number(),
  guidance_scale: z.number(),
  guidance_until: z.number().default(1),
  cache_interval: z.number().default(1),
  scheduler: z.string(),
  seed: z.number(),
  deterministic: z.boolean().default(false),
  model_version: z.string().optional(),
});

/** What asks for a picture again, and the weights that drew it, where it names them. */
export interface Likeness {
  request: CreateGenerationInput & { model: string };
  modelVersion: string | undefined;
}

const ENTITIES: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

/**
 * The recipe in a picture's XMP, which lies as plain text in PNG, JPEG and WebP alike.
 * @throws {CliError} the file cannot be read, or does not say how it was drawn
 */
export async function recipeOf(file: string): Promise<Likeness> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${file} cannot be read (${error.code}).`);
  });
  const json = text.match(/<vignette:recipe>(.*?)<\/vignette:recipe>/s)?.[1];
  if (json === undefined)
    throw new CliError(`${file} carries no recipe of Vignette's: another program made or rewrote it.`);
  const parsed = Recipe.safeParse(parseJson(json.replace(/&(lt|gt|amp);/g, (entity) => ENTITIES[entity] ?? entity)));
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join(".");
    if (field === "prompt")
      throw new CliError(`${file} names its prompt by a hash only, so that it cannot be drawn again.`);
    throw new CliError(`The recipe in ${file} cannot be read${field ? ` (${field})` : ""}.`);
  }
  const { adapter_scale, loras, guidance_until, cache_interval, deterministic, model_version, ...recipe } = parsed.data;
  const special = {
    LoRAs: loras.length > 0,
    guidance_until: guidance_until < 1,
    cache_interval: cache_interval > 1,
    deterministic,
  };
  const used = Object.entries(special).find(([, is]) => is)?.[0];
  if (used) throw new CliError(`${file} was drawn with ${used}, which only the runner's own API takes.`);
  return { request: { ...recipe, ...(adapter_scale === null ? {} : { adapter_scale }) }, modelVersion: model_version };
}

/** What a person should know whose picture other weights drew; null where they are the same, or nobody can tell. */
export function otherWeights({ request, modelVersion }: Likeness, { data }: ModelList): string | null {
  const now = data.find(({ id }) => id === request.model)?.version;
  if (now === undefined || modelVersion === undefined || now === modelVersion) return null;
  return `The model ${request.model} has changed since that picture was drawn, so this will be another one.`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
