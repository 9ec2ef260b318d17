// Bidirectional controls, zero-width characters and tags can reorder or hide what stands around them (Unicode TR36);
// what joins and colours emoji stays.
const INVISIBLE = /(?![\u200d\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}|[\ufff9-\ufffb]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
/** More marks on one letter than any script stacks; the rest would draw over the lines around it. */
const STACKED = /(\p{M}{4})\p{M}+/gu;

/** A user's text as one quiet line of at most `max` code points, for showing; never for drawing. */
export function oneLine(text: string, max: number): string {
  const quiet = text
    .toWellFormed()
    .replace(/\s+/g, " ")
    .replace(CONTROL, "")
    .replace(INVISIBLE, "")
    .replace(STACKED, "$1")
    .trim();
  return shorten(quiet, max);
}

/** At most `max` code points, the last one an ellipsis where something was cut. */
export function shorten(text: string, max: number): string {
  const points = Array.from(text);
  return points.length <= max ? text : `${points.slice(0, Math.max(0, max - 1)).join("")}…`;
}

/** A user's text as the API takes it: whole characters without controls. */
export function drawable(text: string): string {
  return text.toWellFormed().replace(CONTROL, " ").trim();
}
