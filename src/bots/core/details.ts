import type { Generation } from "../../contract/generation.ts";
import { stringsFor } from "./strings.ts";
import { oneLine } from "./text.ts";

export interface Detail {
  label: string;
  value: string;
}

const STRONGEST = 8;
const VALUE_CHARS = 900;

/** How the prompt was read and everything that draws the same picture again; plain text. */
export function detailsOf(generation: Generation, locale: string): Detail[] {
  const strings = stringsFor(locale);
  const { parameters, reading, negative_prompt, model, adapter, metrics } = generation;
  const read = (reading ?? []).slice(0, STRONGEST).map(({ tag, score }) => `${tag} ${Math.round(score * 100)} %`);
  const seconds = (ms: number | null) => (ms === null ? "–" : `${(ms / 1000).toFixed(1)} s`);
  const details = [
    { label: strings.label_reading, value: read.join(" · ") || strings.reading_none },
    { label: strings.label_prompt, value: generation.prompt },
    ...(negative_prompt ? [{ label: strings.label_negative, value: negative_prompt }] : []),
    { label: strings.label_seed, value: String(parameters.seed) },
    { label: strings.label_size, value: `${parameters.width} × ${parameters.height}` },
    {
      label: strings.label_model,
      value: `${model}${adapter ? ` + ${adapter.id} ${adapter.scale}` : ""}, ${parameters.scheduler}, ${parameters.num_inference_steps} × ${parameters.guidance_scale}`,
    },
    { label: strings.label_time, value: `${seconds(metrics.run_ms)} / ${seconds(metrics.total_ms)}` },
    { label: strings.label_id, value: generation.id },
  ];
  return details.map(({ label, value }) => ({ label, value: oneLine(value, VALUE_CHARS) }));
}
