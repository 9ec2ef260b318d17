/** A table of docs/study as the build found it. */
export interface Table {
  name: string;
  data: Record<string, unknown>;
}

/** How often what was drawn is what was said, 0 to 1, by attribute; `mean` over them. */
export interface Row {
  variant: string;
  values: Record<string, number>;
  /** Of the mean, 95 %. */
  interval: [number, number] | null;
  /** By attribute, where the study tells them. */
  intervals: Record<string, [number, number]>;
}

export interface Study {
  name: string;
  /** Date, machine, prompts and the like, as far as the table tells. */
  about: string;
  rows: Row[];
  /** The same for scenes with one kind of thing. */
  simple: Row[];
  /** Gain of the adapter over the sentence alone, 95 % intervals. */
  gains: { attribute: string; low: number; high: number }[];
  closed: string | null;
  instrument: Row[];
}

const ADAPTED = "adapter/narrative";
const VARIANT = /^[\w-]+\/[\w-]+$/;
const SIMPLE = ", one kind";
const INSTRUMENTS: Record<string, string> = {
  judge_on_renders: "fresh renders",
  judge_on_reconstructions: "autoencoder’s reconstructions",
};

/** The comparison of the adapter with what it should be, if the table is one. */
export function studyOf(table: Table): Study | null {
  const { data } = table;
  const entries = Object.entries(data);
  const rows = entries.flatMap(([key, value]) => (VARIANT.test(key) ? (rowOf(key, value) ?? []) : []));
  if (!rows.some(({ variant }) => variant === ADAPTED)) return null;
  const simple = entries.flatMap(([key, value]) =>
    key.endsWith(SIMPLE) ? (rowOf(key.slice(0, -SIMPLE.length), value) ?? []) : [],
  );
  const instrument = Object.entries(INSTRUMENTS).flatMap(([key, label]) => rowOf(label, data[key]) ?? []);
  const gains = Object.entries((data.gain ?? {}) as Record<string, unknown>).flatMap(([attribute, interval]) =>
    isInterval(interval) ? { attribute, low: interval[0], high: interval[1] } : [],
  );
  const closed = (data.closed as { in_words?: unknown } | undefined)?.in_words;
  return {
    name: titleOf(table),
    about: aboutOf(data),
    rows,
    simple,
    gains,
    closed: typeof closed === "string" ? closed : null,
    instrument,
  };
}

/** Named measures of something, if the table holds such. */
export function measuresOf(table: Table): { name: string; about: string; rows: Row[] } | null {
  const { data } = table;
  const rows = Object.entries((data.measures ?? {}) as Record<string, unknown>).flatMap(
    ([key, value]) => rowOf(key, value) ?? [],
  );
  return rows.length > 0 ? { name: titleOf(table), about: data.prompts ? `${data.prompts} prompts` : "", rows } : null;
}

/** Date, machine, prompts and the like, as far as the table tells. */
export function aboutOf(data: Table["data"]): string {
  const about = [
    text(data.date),
    text(data.style) && `${data.style} style`,
    data.prompts && `${data.prompts} prompts`,
    data.language && `${data.language} language`,
    text(data.sentences) && `sentences of ${data.sentences}`,
    data.language === "second" && text(data.vocabulary) && `${data.vocabulary} words`,
    data.scenes && `${data.scenes} triples`,
    data.scenes && data.steps && `${data.steps} steps of training`,
    !data.scenes && data.steps && `${data.steps} steps`,
    data.guidance && `guidance ${data.guidance}`,
    text(data.teacher) && `teacher ${data.teacher}`,
    text(data.machine),
  ];
  return about.filter(Boolean).join(" · ");
}

/** Every attribute that some row has, in the order in which they come. */
export function attributesOf(rows: Row[]): string[] {
  return [...new Set(rows.flatMap(({ values }) => Object.keys(values)))];
}

/** `rare-words-ink`, a table of the style `ink`, as a heading: "Rare words, ink". */
export function titleOf({ name, data }: Table): string {
  const style = text(data.style);
  const styled = style !== null && name.endsWith(`-${style}`);
  const words = (styled ? name.slice(0, -style.length - 1) : name).replaceAll("-", " ");
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${styled ? `, ${style}` : ""}`;
}

/** A share as signed points: `+3.5`. */
export const pointsOf = (share: number): string =>
  `${share > 0 ? "+" : share < 0 ? "−" : ""}${Math.abs(share * 100).toFixed(1)}`;

export const percent = (value: number): string => `${Math.round(value * 100)} %`;

/** A row of figures, if the value is one. */
export function rowOf(variant: string, value: unknown): Row | null {
  if (typeof value !== "object" || value === null) return null;
  const values = Object.fromEntries(Object.entries(value).filter(([, number]) => typeof number === "number"));
  if (Object.keys(values).length === 0) return null;
  const { interval, intervals } = value as { interval?: unknown; intervals?: Record<string, unknown> };
  return {
    variant,
    values,
    interval: isInterval(interval) ? interval : null,
    intervals: Object.fromEntries(
      Object.entries(intervals ?? {}).filter((entry): entry is [string, [number, number]] => isInterval(entry[1])),
    ),
  };
}

/** Two ends. */
export function isInterval(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === "number");
}

const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
