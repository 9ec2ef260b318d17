import type { Model } from "../../contract/models.ts";

/** What a style adds to the sentence; a model of the catalogue is a style too, under its id. */
const PHRASES: Record<string, string> = {
  photo: "a photograph, natural light",
  painting: "an oil painting",
  watercolor: "a watercolor painting",
  sketch: "a pencil sketch",
  anime: "an anime illustration",
  pixel: "pixel art",
  flat: "a flat illustration",
};

export type Style = { phrase: string; model?: never } | { model: string; phrase?: never };

/** Every style's name, models that are not the default first. */
export function styleNames(models: readonly Model[]): string[] {
  return [...models.filter((model) => !model.default).map(({ id }) => id), ...Object.keys(PHRASES)];
}

export function findStyle(name: string, models: readonly Model[]): Style | null {
  const wanted = name.trim().toLowerCase();
  const model = models.find(({ id }) => id.toLowerCase() === wanted);
  if (model) return { model: model.id };
  return Object.hasOwn(PHRASES, wanted) ? { phrase: PHRASES[wanted] ?? "" } : null;
}

/** The prompt in a style, and back: Remix shows the sentence that the person wrote. */
export const withPhrase = (prompt: string, phrase: string) => `${prompt}, ${phrase}`;
export function withoutPhrase(prompt: string, style: string | null): string {
  const phrase = style && Object.hasOwn(PHRASES, style) ? `, ${PHRASES[style]}` : "";
  return phrase && prompt.endsWith(phrase) ? prompt.slice(0, -phrase.length) : prompt;
}
