import { charactersOf } from "./terms.ts";
import { z } from "./zod.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f]/;
/** Embeddings, overrides and isolates reorder what stands around them (UAX #9); the marks U+200E, U+200F, U+061C do not. */
const BIDI = /[\u202a-\u202e\u2066-\u2069]/u;
/** Tag characters spell invisible text, except in the flags of England, Scotland and Wales (UTS #51, annex C). */
const TAGS = /(?<!\u{1f3f4}[\u{e0020}-\u{e007e}]*)[\u{e0001}\u{e0020}-\u{e007f}]/u;
/** Noncharacters, and the anchors of interlinear annotation: never text. */
const NEVER = /[\ufdd0-\ufdef\ufff9-\ufffb\p{Noncharacter_Code_Point}]/u;

/** Text that survives UTF-8 and a terminal: no lone surrogates, no control characters but tab and line ends. */
export function wellFormed(maxChars: number) {
  return bounded(z.string(), maxChars);
}

/**
 * A prompt: well-formed text in Unicode's normal form C, so that two ways to type the same letters draw the same picture,
 * without characters that hide text or reorder it.
 */
export function promptText(maxChars: number) {
  return bounded(z.string().normalize("NFC"), maxChars)
    .refine((text) => !BIDI.test(text), { error: named(BIDI, "reorders the text around it; remove it.") })
    .refine((text) => !TAGS.test(text), { error: named(TAGS, "is an invisible tag; remove it.") })
    .refine((text) => !NEVER.test(text), { error: named(NEVER, "is no character of any text; remove it.") });
}

/** Bounds a text in characters; zod's own `max` counts UTF-16 units, which is not what the description says. */
export function atMost(maxChars: number, text: z.ZodString = z.string()) {
  return text
    .refine((value) => charactersOf(value) <= maxChars, `At most ${maxChars} characters; shorten it.`)
    .openapi({ maxLength: maxChars });
}

/** How many bytes a text is in UTF-8. */
export const utf8Bytes = (text: string): number => new TextEncoder().encode(text).byteLength;

function bounded(text: z.ZodString, maxChars: number) {
  return atMost(maxChars, text)
    .refine((text) => text.isWellFormed(), "Half of a surrogate pair stands alone; send whole Unicode characters.")
    .refine((text) => !CONTROL.test(text), "Control characters are not text; remove them.");
}

/** A sentence that begins with the code point at fault, which cannot be seen otherwise. */
function named(pattern: RegExp, rest: string) {
  return ({ input }: { input?: unknown }) => {
    const code = pattern.exec(String(input))?.[0].codePointAt(0) ?? 0;
    return `U+${code.toString(16).toUpperCase().padStart(4, "0")} ${rest}`;
  };
}
