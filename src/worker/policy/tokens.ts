/** A letter of a script that is written without spaces. */
const UNSPACED =
  "(?=\\p{L})[\\p{scx=Han}\\p{scx=Hiragana}\\p{scx=Katakana}\\p{scx=Thai}\\p{scx=Lao}\\p{scx=Khmer}\\p{scx=Myanmar}]";
/** The only tokens of CLIP's vocabulary that hold more than one such letter. */
const LONG = "อง|と繋がりたい";
/** One token each, however they look. */
const SPECIAL = "<\\|startoftext\\|>|<\\|endoftext\\|>";

/**
 * How CLIP's tokenizer splits text before it looks words up (openai/CLIP, clip/simple_tokenizer.py), with the letters of
 * unspaced scripts one by one: it splits those further, down to the bytes of their UTF-8.
 */
const PIECE = new RegExp(
  `${SPECIAL}|'s|'t|'re|'ve|'m|'ll|'d|${LONG}|${UNSPACED}|(?:(?!${UNSPACED})\\p{L})+|\\p{N}|[^\\s\\p{L}\\p{N}]+`,
  "giu",
);

/** What weighs a part of a prompt and is not read: `(word:1.3)`, `((word))`, `[word]`, escapes (docs/models.md). */
const WEIGHTS = /:\s*[\d.]+\s*(?=\))|[()[\]\\]/g;

/**
 * How many tokens a text has at least: every piece becomes one or more (of Chinese, two or three), and only the model's
 * own vocabulary knows how many more. What is refused by this count is too long for certain.
 */
export function leastTokens(text: string): number {
  // The tokenizer, too, composes letters and their accents first.
  return text.normalize("NFC").replace(WEIGHTS, " ").match(PIECE)?.length ?? 0;
}
