/** How CLIP's tokenizer splits text before it looks words up (openai/CLIP, clip/simple_tokenizer.py). */
const PIECE = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/giu;

/** What weighs a part of a prompt and is not read: `(word:1.3)`, `((word))`, `[word]`, escapes (docs/models.md). */
const WEIGHTS = /:\s*[\d.]+\s*(?=\))|[()[\]\\]/g;

/**
 * How many tokens a text has at least: every piece becomes one or more, and only the model's own vocabulary knows how
 * many more. What is refused by this count is too long for certain.
 */
export function leastTokens(text: string): number {
  return text.replace(WEIGHTS, " ").match(PIECE)?.length ?? 0;
}
