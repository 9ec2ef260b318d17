import { de } from "./locales/de.ts";
import { en, type StringKey, type Strings } from "./locales/en.ts";
import { es } from "./locales/es.ts";
import { fr } from "./locales/fr.ts";
import { ja } from "./locales/ja.ts";
import { zh } from "./locales/zh.ts";

export type { StringKey } from "./locales/en.ts";

export const LOCALES: Record<string, Strings> = { en, de, es, fr, ja, zh };

/** A sentence before it has a language: what core code decides and a renderer says. */
export interface Sentence {
  key: StringKey;
  params: Record<string, string | number>;
}

export const sentence = (key: StringKey, params: Sentence["params"] = {}): Sentence => ({ key, params });

/** The strings for a platform's locale tag (`de`, `de-DE`, `zh_TW`); English for every other language. */
export function stringsFor(tag: string | null | undefined): Strings {
  const language = (tag ?? "en").toLowerCase().split(/[-_]/)[0] ?? "en";
  return (Object.hasOwn(LOCALES, language) ? LOCALES[language] : undefined) ?? en;
}

/** Fills in `{name}`; what is put in is never looked at again, so that it cannot name another parameter. */
export function say(strings: Strings, key: StringKey, params: Sentence["params"] = {}): string {
  return strings[key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(params, name) ? String(params[name]) : whole,
  );
}
