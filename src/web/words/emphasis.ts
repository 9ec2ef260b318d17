const FIRST = 1.4;
const STEP = 0.4;
const MOST = 3;

/** The sentence with more weight on a phrase, or still more, in the syntax of docs/models.md. */
export function emphasised(prompt: string, phrase: string): string {
  const opening = `(${phrase}:`;
  const from = prompt.indexOf(opening);
  const to = prompt.indexOf(")", from);
  const weight = Number(prompt.slice(from + opening.length, to));
  if (from < 0 || to < 0 || !Number.isFinite(weight)) return `${prompt}, ${opening}${FIRST})`;
  const more = Math.min(MOST, weight + STEP).toFixed(1);
  return `${prompt.slice(0, from)}${opening}${more}${prompt.slice(to)}`;
}
