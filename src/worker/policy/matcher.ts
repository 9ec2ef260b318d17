/** Scripts that are written without spaces: a term in one of them matches anywhere. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const WORD = /[\p{L}\p{N}\p{M}]+/gu;

/**
 * What of a text counts for comparison: compatibility forms, case, accents of Latin, Greek and Cyrillic letters and
 * characters that cannot be seen make no difference (Unicode NFKD, Default_Ignorable_Code_Point).
 */
export function skeleton(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{Default_Ignorable_Code_Point}|[\u0300-\u036f]/gu, "")
    .toLowerCase()
    .normalize("NFC");
}

/** Whether a text holds any of a list's terms. */
export type Matcher = (text: string) => boolean;

/**
 * Compiles a list of terms. Looking a text up takes time in proportion to its length, whatever the terms are: nobody's
 * list can make a request slow, as a regular expression could.
 */
export function compile(terms: string[]): Matcher {
  const phrases = new Set<string>();
  const beginnings = new Set<string>();
  const anywhere: string[] = [];
  let longest = 1;
  for (const term of terms) {
    const plain = skeleton(term);
    if (UNSPACED.test(plain)) {
      anywhere.push(joined(plain));
      continue;
    }
    const words = wordsOf(plain);
    if (words.length === 0) continue;
    longest = Math.max(longest, words.length);
    (plain.trimEnd().endsWith("*") ? beginnings : phrases).add(words.join(" "));
  }
  return function matches(text) {
    const plain = skeleton(text);
    if (anywhere.length > 0) {
      const run = joined(plain);
      if (anywhere.some((term) => run.includes(term))) return true;
    }
    const words = wordsOf(plain);
    return words.some((_, at) => {
      for (let count = 1; count <= Math.min(longest, words.length - at); count++) {
        const phrase = words.slice(at, at + count).join(" ");
        if (phrases.has(phrase)) return true;
        if (beginnings.size > 0 && beginsWith(beginnings, phrase, words[at + count - 1]?.length ?? 0)) return true;
      }
      return false;
    });
  };
}

/** Whether a phrase, cut somewhere in its last word, is a beginning. */
function beginsWith(beginnings: Set<string>, phrase: string, lastWord: number): boolean {
  for (let end = phrase.length; end > phrase.length - lastWord; end--)
    if (beginnings.has(phrase.slice(0, end))) return true;
  return false;
}

const wordsOf = (plain: string): string[] => plain.match(WORD) ?? [];
const joined = (plain: string): string => wordsOf(plain).join("");
