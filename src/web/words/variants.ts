import type { CreateGenerationInput, Generation } from "../../contract/generation.ts";

/** One way of drawing a sentence, beside others with the same seed. */
export type Variant = { kind: "plain" } | { kind: "adapted"; scale: number } | { kind: "keywords"; prompt: string };

/** Strengths of the adapter that can be compared; at 1 it does what it was trained to. */
export const SCALES = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2] as const;

export function nameOf(variant: Variant): string {
  switch (variant.kind) {
    case "plain":
      return "Without the adapter";
    case "adapted":
      return variant.scale === 1 ? "With the adapter" : `Adapter × ${variant.scale}`;
    case "keywords":
      return "Keyword prompt";
  }
}

/** Its request. The kind goes into the metadata, so that an address with nothing but ids shows the same names. */
export function requestFor(variant: Variant, base: CreateGenerationInput & { seed: number }): CreateGenerationInput {
  const request = { ...base, metadata: { app: "playground", compare: variant.kind } };
  switch (variant.kind) {
    case "plain":
      return { ...request, adapter: null };
    case "adapted":
      return { ...request, adapter_scale: variant.scale };
    case "keywords":
      return { ...request, prompt: variant.prompt, adapter: null };
  }
}

/** What a generation was drawn as. */
export function variantOf({ adapter, metadata, prompt }: Generation): Variant {
  if (metadata.compare === "keywords") return { kind: "keywords", prompt };
  return adapter === null ? { kind: "plain" } : { kind: "adapted", scale: adapter.scale };
}
