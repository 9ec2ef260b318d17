import { BOUNDS } from "../../contract/generation.ts";
import { readRatio } from "./ratio.ts";
import { type Sentence, sentence } from "./strings.ts";
import { drawable, oneLine } from "./text.ts";

/** What a person asked for, as far as it can be told without knowing the models. */
export interface ImagineRequest {
  prompt: string;
  avoid: string | null;
  /** As written, such as `16:9`. */
  ratio: string | null;
  style: string | null;
  seed: number | null;
  count: number;
  private: boolean;
}

/** A command's fields as the platform gave them; each may be missing. */
export interface RawRequest {
  prompt?: string | undefined;
  avoid?: string | undefined;
  ratio?: string | undefined;
  style?: string | undefined;
  seed?: string | number | undefined;
  count?: string | number | undefined;
  private?: boolean | undefined;
}

export type Parsed = { ok: true; request: ImagineRequest } | { ok: false; complaints: Sentence[] };

type Field = Exclude<keyof RawRequest, "prompt">;
const FLAGS: Record<string, Field> = {
  ar: "ratio",
  ratio: "ratio",
  style: "style",
  seed: "seed",
  n: "count",
  count: "count",
  no: "avoid",
  private: "private",
};
const SHOWN = "--ar, --style, --seed, --n, --no, --private";
const EXAMPLES: Record<Field, string> = {
  ratio: "--ar 16:9",
  style: "--style watercolor",
  seed: "--seed 7",
  count: "--n 2",
  avoid: "--no text",
  private: "--private",
};
// Phones turn two hyphens into a dash, so a dash before a known name is a flag too.
const FLAG = /(?<=^|\s)(--|—|–)(\p{L}[\p{L}\d_-]*)(?=\s|$|=)=?/gu;

/**
 * Reads options and the flags within the text (`--ar 16:9 --seed 7 --no text --n 2 --private`). An option that was given
 * goes before a flag. Nothing unknown is ever drawn: every problem is answered, all at once.
 */
export function parseRequest(raw: RawRequest): Parsed {
  const complaints: Sentence[] = [];
  const { prompt, flags } = splitFlags(raw.prompt ?? "", complaints);
  const given = (field: Field) => raw[field] ?? flags.get(field);

  const request: ImagineRequest = {
    prompt: drawable(prompt),
    avoid: text(given("avoid")),
    ratio: text(given("ratio")),
    style: text(given("style"))?.toLowerCase() ?? null,
    seed: whole(given("seed"), 0, BOUNDS.seed, (value) =>
      complaints.push(sentence("seed_bad", { value, limit: BOUNDS.seed })),
    ),
    count:
      whole(given("count"), 1, BOUNDS.images, (value) =>
        complaints.push(sentence("count_bad", { value, limit: BOUNDS.images })),
      ) ?? 1,
    private: raw.private ?? flags.has("private"),
  };
  if (request.prompt === "") complaints.push(sentence("prompt_empty"));
  if (request.ratio !== null && readRatio(request.ratio) === null)
    complaints.push(sentence("ratio_bad", { value: oneLine(request.ratio, 40) }));
  return complaints.length > 0 ? { ok: false, complaints } : { ok: true, request };
}

/** The request as one text, which {@link parseRequest} reads again. */
export function writeRequest(request: ImagineRequest): string {
  const { prompt, ratio, style, seed, count, avoid } = request;
  return [
    prompt,
    ...(ratio === null ? [] : [`--ar ${ratio.replace(/\s/g, "")}`]),
    ...(style === null ? [] : [`--style ${style}`]),
    ...(seed === null ? [] : [`--seed ${seed}`]),
    ...(count === 1 ? [] : [`--n ${count}`]),
    ...(request.private ? ["--private"] : []),
    // Its words go on to the end.
    ...(avoid === null ? [] : [`--no ${avoid}`]),
  ].join(" ");
}

function splitFlags(input: string, complaints: Sentence[]) {
  const flags = new Map<Field, string>();
  const found = [...input.matchAll(FLAG)].filter(([, dashes, name = ""]) => dashes === "--" || fieldOf(name));
  let prompt = input.slice(0, found[0]?.index ?? input.length);
  found.forEach((match, i) => {
    const [whole, , name = ""] = match;
    const rest = input.slice(match.index + whole.length, found[i + 1]?.index ?? input.length).trim();
    const field = fieldOf(name);
    if (!field) {
      complaints.push(sentence("flag_unknown", { flag: oneLine(`--${name}`, 40), flags: SHOWN }));
      return;
    }
    // What is to be avoided may be many words; every other value is one, and the sentence goes on after it.
    const [value = "", after = ""] = field === "avoid" ? [rest] : field === "private" ? ["yes", rest] : firstWord(rest);
    if (value === "") complaints.push(sentence("flag_value", { flag: `--${name}`, example: EXAMPLES[field] }));
    flags.set(field, value);
    prompt = `${prompt} ${after}`;
  });
  return { prompt: prompt.trim(), flags };
}

function fieldOf(name: string): Field | undefined {
  const key = name.toLowerCase();
  return Object.hasOwn(FLAGS, key) ? FLAGS[key] : undefined;
}

function firstWord(text: string): [string, string] {
  const [, word = "", rest = ""] = /^(\S*)\s*([\s\S]*)$/.exec(text) ?? [];
  return [word, rest];
}

function text(value: string | number | boolean | undefined): string | null {
  const clean = value === undefined ? "" : drawable(String(value));
  return clean === "" ? null : clean;
}

function whole(
  value: string | number | boolean | undefined,
  least: number,
  most: number,
  complain: (value: string) => void,
): number | null {
  const written = text(value);
  if (written === null) return null;
  const number = Number(written);
  if (/^\d+$/.test(written) && number >= least && number <= most) return number;
  complain(oneLine(written, 40));
  return null;
}
