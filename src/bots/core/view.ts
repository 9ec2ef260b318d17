import type { Generation, Progress } from "../../contract/generation.ts";
import type { Action } from "./custom-id.ts";
import type { Origin } from "./origin.ts";
import { type Sentence, say, stringsFor } from "./strings.ts";
import { withoutPhrase } from "./styles.ts";
import { oneLine } from "./text.ts";

export interface Button {
  action: Action;
  id: string | null;
  index: number | null;
  label: string;
  tone: "primary" | "secondary" | "danger";
}

export interface ViewImage {
  url: string;
  filename: string;
  contentType: string;
  alt: string;
  /** Flagged: shown behind a cover. */
  covered: boolean;
}

/** What has a string of its own name. */
type LabelledAction = Exclude<Action, "keep_meant" | "keep_not_meant" | "next_favorite">;

/** One job as any platform can show it. Text is plain: whoever renders it escapes it. */
export interface View {
  state: "queued" | "drawing" | "done" | "failed" | "canceled" | "paused";
  id: string;
  prompt: string;
  headline: string;
  /** 0 to 1; null where there is nothing to measure. */
  fraction: number | null;
  /** Milliseconds since 1970 when it should be ready, with `{when}` in `readyWhen` for it. */
  readyAt: number | null;
  readyWhen: string;
  /** With `{seconds}` for how long that is, where a place cannot count down itself. */
  inSeconds: string;
  facts: string[];
  /** What the model has to say about what it knows. */
  note: string | null;
  images: ViewImage[];
  buttons: Button[][];
}

const PROMPT_CHARS = 300;
const ALT_CHARS = 1000;
const REASON_CHARS = 400;

/** Whether flagged images may stand in this place at all; Slack has no cover for them. */
const mayCover = (origin: Origin) => origin.chat === "discord" && Boolean(origin.adult || origin.private);

/**
 * @param now milliseconds since 1970
 * @param progress newer than the generation's own, if there is any
 */
export function viewOf(generation: Generation, origin: Origin, now: number, progress?: Progress | null): View {
  const strings = stringsFor(origin.locale);
  const button = (action: LabelledAction, tone: Button["tone"] = "secondary", index: number | null = null): Button => ({
    action,
    id: generation.id,
    index,
    tone,
    label: action === "vary" ? say(strings, "vary", { index: (index ?? 0) + 1 }) : say(strings, action),
  });
  const view: View = {
    state: "queued",
    id: generation.id,
    prompt: oneLine(withoutPhrase(generation.prompt, origin.style ?? null), PROMPT_CHARS),
    headline: "",
    fraction: null,
    readyAt: null,
    readyWhen: strings.ready_when,
    inSeconds: strings.in_seconds,
    facts: [],
    note: null,
    images: [],
    buttons: [],
  };
  const at = progress ?? generation.progress;
  switch (generation.status) {
    case "queued": {
      const ahead = at?.queue_position ?? 0;
      const headline = ahead > 0 ? say(strings, "queued_behind", { ahead }) : strings.queued;
      return { ...view, headline, buttons: [[button("cancel")]] };
    }
    case "running":
      return {
        ...view,
        state: "drawing",
        headline: strings.drawing,
        fraction: at?.fraction ?? 0,
        readyAt: at?.eta_seconds ? now + at.eta_seconds * 1000 : null,
        buttons: [[button("cancel")]],
      };
    case "canceled":
      return { ...view, state: "canceled", headline: strings.canceled, buttons: [[button("retry")]] };
    case "failed": {
      const reason = oneLine(generation.error?.message ?? "?", REASON_CHARS);
      const headline = say(strings, "failed", { reason });
      return { ...view, state: "failed", headline, buttons: [[button("retry"), button("remix")]] };
    }
    case "succeeded":
      return done(view, generation, origin, button);
  }
}

function done(
  view: View,
  generation: Generation,
  origin: Origin,
  button: (action: LabelledAction, tone?: Button["tone"], index?: number | null) => Button,
): View {
  const strings = stringsFor(origin.locale);
  const { images, parameters, metrics, cached } = generation;
  const alt = altText(generation, origin);
  const withheld = images.some(({ flagged }) => flagged) && !mayCover(origin);
  const seconds = ((metrics.total_ms ?? 0) / 1000).toFixed(1);
  const told = cached ? strings.done_cached : say(strings, "done", { seconds });
  return {
    ...view,
    state: "done",
    headline: withheld ? say(strings, origin.chat === "slack" ? "flagged_reveal" : "flagged") : told,
    note: generation.notice ? oneLine(generation.notice, REASON_CHARS) : null,
    facts: [`seed ${parameters.seed}`, `${parameters.width} × ${parameters.height}`],
    images: images
      .filter(({ flagged }) => !flagged || !withheld)
      .map(({ url, index, content_type, flagged }) => ({
        url,
        filename: `vignette-${generation.id.slice(-8)}-${index + 1}.${content_type === "image/jpeg" ? "jpg" : "png"}`,
        contentType: content_type,
        alt: images.length > 1 ? say(strings, "alt_of", { alt, index: index + 1, count: images.length }) : alt,
        covered: flagged,
      })),
    buttons: [
      ...(isPreview(origin) ? [[button("send", "primary"), button("shuffle"), button("cancel")]] : []),
      [
        ...(withheld && origin.chat === "slack" ? [button("show", "primary")] : []),
        ...(isPreview(origin) ? [] : [button("reroll", "primary")]),
        button("remix"),
        button("same_seed"),
        button("details"),
        button("delete", "danger"),
      ],
      images.map(({ index }) => button("vary", "secondary", index)),
      [button("meant"), button("not_meant"), button("favorite")],
    ],
  };
}

/** Slack shows one person a picture first, who sends it on; Discord has nothing that could be sent on. */
const isPreview = (origin: Origin) => origin.chat === "slack" && Boolean(origin.private);

/** What the picture shows, for those who do not see it: the words, and what the model read in them. */
export function altText(generation: Generation, { locale, style }: Pick<Origin, "locale" | "style">): string {
  const strings = stringsFor(locale);
  const prompt = oneLine(withoutPhrase(generation.prompt, style ?? null), PROMPT_CHARS);
  const reading = (generation.reading ?? []).slice(0, 6).map(({ tag }) => tag);
  const text = say(strings, reading.length > 0 ? "alt_reading" : "alt", { prompt, reading: reading.join(", ") });
  return oneLine(text, ALT_CHARS);
}

/** The job's message when nothing can edit it any more: a press on Show brings a fresh right to. */
export function pausedView(view: View, locale: string): View {
  const strings = stringsFor(locale);
  const show: Button = { action: "show", id: view.id, index: null, label: strings.show, tone: "primary" };
  return { ...view, state: "paused", headline: strings.paused, fraction: null, readyAt: null, buttons: [[show]] };
}

/** The job's message before there is a job. */
export function waitingView(prompt: string, locale: string, buttons: Button[][] = []): View {
  const view = noticeView({ key: "queued", params: {} }, locale, prompt);
  return { ...view, state: "queued", buttons };
}

/** A message that only says something. */
export function noticeView(said: Sentence, locale: string, prompt = ""): View {
  return {
    state: "failed",
    id: "",
    prompt: oneLine(prompt, PROMPT_CHARS),
    headline: say(stringsFor(locale), said.key, said.params),
    fraction: null,
    readyAt: null,
    readyWhen: "",
    inSeconds: "",
    facts: [],
    note: null,
    images: [],
    buttons: [],
  };
}
