import { aboutOf, isInterval, pointsOf, type Row, rowOf, type Table, titleOf } from "./study.ts";

/** A way from the sentence to the picture, as `vignette miniature variants` measured it. */
export interface Way extends Row {
  /** In words, for who has not read the study. */
  meaning: string;
  /** Of the mean over the sentence alone, 95 %. */
  gain: [number, number] | null;
  /** Of the distance to the keyword prompt, in words. */
  closed: string | null;
  /** Distance of the pictures' features to those of fresh renders; lower is better. */
  kid: number | null;
}

/** The mean mark at one place of a sweep. */
export interface Step {
  at: number;
  mean: number;
  interval: [number, number] | null;
}

export interface Ways {
  name: string;
  about: string;
  /** Best first. */
  ways: Way[];
  /** What one way gains over another, in sentences. */
  ahead: string[];
  /** By the adapter's scale: 0 is the sentence alone, 1 the adapter as it was trained. */
  scale: Step[];
  /** By the number of triples trained on. */
  triples: Step[];
  /** The sentences that the adapter serves worst, in the order of their sheet. */
  failures: string[];
}

const BASE = "base/narrative";
const CEILING = "base/keyword";
const ADAPTER = "adapter/no-LLM";
const SWEPT = /^(scale|triples)\/(\d+(?:\.\d+)?)$/;
const MEANINGS: Record<string, string> = {
  [BASE]: "the sentence as it is",
  [CEILING]: "the keyword list of the same scene",
  [ADAPTER]: "adapter, no language model as teacher",
  "adapter/LLM-last-layer": "adapter, taught by a language model’s last layer",
  "adapter/LLM-layer-mean": "adapter, taught by the mean of its layers",
  "adapter/bundled": "the adapter that comes with the miniature: trained longer, on more sentences",
  "published-recipe/narrative": "adapter trained as the published script trains it",
  "LLM-rewriting/narrative": "no adapter; a language model rewrites the sentence to keywords",
};

/** The study of variants, if the table is one. */
export function waysOf(table: Table): Ways | null {
  const { data } = table;
  const [base, own] = [stepOf(0, data[BASE]), stepOf(1, data[ADAPTER])];
  if (!base || !own) return null;
  const entries = Object.entries(data);
  const ways = entries.flatMap(([key, value]) => (SWEPT.test(key) ? [] : (wayOf(key, value) ?? [])));
  const swept = (kind: string, ...more: (Step | null)[]) =>
    [
      ...entries.flatMap(([key, value]) => {
        const [, which, at] = SWEPT.exec(key) ?? [];
        return which === kind ? (stepOf(Number(at), value) ?? []) : [];
      }),
      ...more.filter((step) => step !== null),
    ].sort((a, b) => a.at - b.at);
  const all = typeof data.scenes === "number" ? stepOf(data.scenes, data[ADAPTER]) : null;
  return {
    name: titleOf(table),
    about: aboutOf(data),
    ways: ways.sort((a, b) => (b.values.mean ?? 0) - (a.values.mean ?? 0)),
    ahead: ways.flatMap(({ variant }) => aheadOf(variant, data[variant])),
    scale: swept("scale", base, own),
    triples: swept("triples", all),
    failures: Array.isArray(data.failures) ? data.failures.filter((text) => typeof text === "string") : [],
  };
}

function wayOf(variant: string, value: unknown): Way | null {
  const row = rowOf(variant, value);
  if (row?.values.mean === undefined) return null;
  const { kid = null, ...values } = row.values;
  const { gain, closed } = value as { gain?: { mean?: unknown }; closed?: { in_words?: unknown } };
  return {
    ...row,
    values,
    meaning: MEANINGS[variant] ?? "",
    gain: isInterval(gain?.mean) ? gain.mean : null,
    closed: typeof closed?.in_words === "string" ? closed.in_words : null,
    kid,
  };
}

function stepOf(at: number, value: unknown): Step | null {
  const row = rowOf("", value);
  return row?.values.mean === undefined ? null : { at, mean: row.values.mean, interval: row.interval };
}

/** `over` holds the interval of the paired gain of the mean, by the way that it is set against. */
function aheadOf(variant: string, value: unknown): string[] {
  const { over } = (value ?? {}) as { over?: Record<string, unknown> };
  return Object.entries(over ?? {}).flatMap(([other, interval]) => {
    if (!isInterval(interval)) return [];
    const [low, high] = interval;
    const verdict = low > 0 ? "is ahead of" : high < 0 ? "is behind" : "is not told apart from";
    return [`${variant} ${verdict} ${other}: ${pointsOf(low)} to ${pointsOf(high)} points`];
  });
}
