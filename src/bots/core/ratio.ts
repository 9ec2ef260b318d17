import type { Model } from "../../contract/models.ts";

export const RATIOS = ["1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16"] as const;
const WIDEST = 4;

/** Width over height of `16:9`, `16x9` or `1.78`; null for what is no ratio between 1:4 and 4:1. */
export function readRatio(text: string): number | null {
  const [, width = "", height = "1"] = /^\s*(\d+(?:\.\d+)?)(?:\s*[:x×/]\s*(\d+(?:\.\d+)?))?\s*$/.exec(text) ?? [];
  const ratio = Number(width) / Number(height);
  return width !== "" && Number.isFinite(ratio) && ratio >= 1 / WIDEST && ratio <= WIDEST ? ratio : null;
}

/** Width and height in pixels with about as many of them as the model's default, within its limits. */
export function sizeFor(ratio: number, { defaults, limits }: Pick<Model, "defaults" | "limits">) {
  const area = defaults.width * defaults.height;
  const within = (side: number, least: number, most: number) => {
    const rounded = Math.round(side / limits.multiple_of) * limits.multiple_of;
    return Math.min(most, Math.max(least, rounded));
  };
  return {
    width: within(Math.sqrt(area * ratio), limits.min_width, limits.max_width),
    height: within(Math.sqrt(area / ratio), limits.min_height, limits.max_height),
  };
}
