import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { usage } from "./error.ts";

/** Parses a command's arguments strictly: an unknown option is an error that names it. */
export function parse<const T extends ParseArgsOptionsConfig>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usage(`${(error as Error).message.split(". To specify")[0]}.`);
  }
}

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

/** The object without the keys whose value is undefined. */
export function given<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}
