/** A preview is a few pixels; anything larger is none. */
const MAX_CHARS = 256 * 1024;
const DATA_URL = /^data:image\/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}$/;

/** The previews that a prediction under way shows in the place of its output, by the picture's index. */
export function previewsOf(output: unknown): { index: number; image: string }[] {
  if (!Array.isArray(output)) return [];
  return output.flatMap((image: unknown, index) =>
    typeof image === "string" && image.length <= MAX_CHARS && DATA_URL.test(image) ? [{ index, image }] : [],
  );
}
