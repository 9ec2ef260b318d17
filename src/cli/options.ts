import { usage } from "./error.ts";

/** The option's number, or nothing; the API checks its range. */
export function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw usage(`--${name} is ${JSON.stringify(text)}; it must be a number.`);
  return value;
}

/** Exactly one positional argument. */
export function only(what: string, positionals: string[]): string {
  const [value, extra] = positionals;
  if (value === undefined) throw usage(`Say which ${what}.`);
  if (extra !== undefined) throw usage(`One ${what} at a time; ${JSON.stringify(extra)} is one too many.`);
  return value;
}

/** No positional argument at all. */
export function none(command: string, [first]: string[]): void {
  if (first !== undefined) throw usage(`\`${command}\` takes options only, not ${JSON.stringify(first)}.`);
}

/** One of a few words, or nothing. */
export function oneOf<const T extends readonly string[]>(
  name: string,
  text: string | undefined,
  choices: T,
): T[number] | undefined {
  if (text === undefined || choices.includes(text)) return text;
  throw usage(`--${name} is ${JSON.stringify(text)}; there are ${choices.join(", ")}.`);
}

/** Several of a few words, separated by commas, or nothing. */
export function severalOf<const T extends readonly string[]>(
  name: string,
  text: string | undefined,
  choices: T,
): T[number][] | undefined {
  return text?.split(",").map((part) => oneOf(name, part.trim(), choices) as T[number]);
}

/** The object without the keys whose value is undefined. */
export function given<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}
