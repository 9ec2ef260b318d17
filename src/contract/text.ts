import { z } from "./zod.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Text that survives UTF-8 and a terminal: no lone surrogates, no control characters but tab and line ends. */
export function wellFormed(maxChars: number) {
  return z
    .string()
    .max(maxChars, `At most ${maxChars} characters; shorten it.`)
    .refine((text) => text.isWellFormed(), "Half of a surrogate pair stands alone; send whole Unicode characters.")
    .refine((text) => !CONTROL.test(text), "Control characters are not text; remove them.");
}
