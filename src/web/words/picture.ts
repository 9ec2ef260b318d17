import type { Generation, Image } from "../../contract/generation.ts";

const TAGS = 6;

/** What the picture shows, for those who do not see it: the sentence, and what the model read in it. */
export function altOf({ prompt, reading, images }: Generation, index = 0): string {
  const which = images.length > 1 ? `Picture ${index + 1} of ${images.length}` : "Picture";
  const tags = (reading ?? []).slice(0, TAGS).map(({ tag }) => tag);
  return `${which}: ${prompt}${tags.length > 0 ? `. Understood as ${tags.join(", ")}` : ""}`;
}

/** The image from this very site, wherever the API says that it is reached from. */
export const sourceOf = ({ url }: Pick<Image, "url">): string => new URL(url).pathname;

/** `three-purple-cats-1234.png` */
export function fileNameOf({ prompt }: Generation, { seed, content_type }: Image): string {
  const slug = prompt
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "");
  return `${slug.slice(0, 60).replace(/-$/, "") || "vignette"}-${seed}.${content_type.replace("image/", "").replace("jpeg", "jpg")}`;
}

/** What a label under a picture tells: model, adapter, seed, steps, time. */
export function factsOf({ model, adapter, parameters, metrics, cached }: Generation, image?: Image): string[] {
  const seconds = metrics.total_ms === null ? null : (metrics.total_ms / 1000).toFixed(1);
  return [
    model,
    adapter ? `adapter ${adapter.id}${adapter.scale === 1 ? "" : ` × ${adapter.scale}`}` : "no adapter",
    `seed ${image?.seed ?? parameters.seed}`,
    `${parameters.width} × ${parameters.height}`,
    `${parameters.num_inference_steps} steps`,
    ...(cached ? ["from the cache"] : seconds === null ? [] : [`${seconds} s`]),
  ];
}
