import { writeCustomId } from "../core/custom-id.ts";
import type { Detail } from "../core/details.ts";
import { type Sentence, say, stringsFor } from "../core/strings.ts";
import { oneLine, shorten } from "../core/text.ts";
import type { Button, View } from "../core/view.ts";
import { SLACK } from "./limits.ts";

const BAR = 10;

export interface Rendered {
  text: string;
  blocks: Record<string, unknown>[];
}

export interface RenderOptions {
  /** Where each of the view's images is to be found: an uploaded file's id, or an address that Slack can reach. */
  pictures?: ({ file: string } | { url: string })[];
  /** A sentence below. */
  line?: string;
  /** What a button carries beside its id. */
  value?: string | undefined;
  /** Milliseconds since 1970, to say how long it will take. */
  now?: number;
}

/** In plain text nothing is markup: no mention, no link, no emphasis, no emoji. */
export const plainText = (text: string, max: number) => ({
  type: "plain_text",
  text: shorten(text, max) || "…",
  emoji: false,
});

/** The text beside the blocks is markup always, so it is escaped (docs.slack.dev/messaging/formatting-message-text). */
export const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A view as a message's text and blocks. */
export function renderView(view: View, { pictures = [], line, value, now = 0 }: RenderOptions = {}): Rendered {
  const bar =
    view.fraction === null
      ? ""
      : ` ${"▰".repeat(Math.round(view.fraction * BAR)).padEnd(BAR, "▱")} ${Math.floor(view.fraction * 100)} %`;
  const status = [`${view.headline}${bar}`, ...readyIn(view, now), ...view.facts].join(" · ");
  const blocks = [
    ...(view.prompt ? [section(view.prompt)] : []),
    ...view.images.flatMap(({ alt }, index) => {
      const picture = pictures[index];
      return picture ? [image(picture, alt)] : [];
    }),
    context(status),
    ...(view.note ? [context(view.note)] : []),
    ...(line ? [section(line)] : []),
    ...actions(view.buttons, value),
  ];
  return { text: escaped(shorten([view.prompt, view.headline].filter(Boolean).join(" – "), SLACK.text)), blocks };
}

export function renderDetails(details: Detail[]): Rendered {
  const fields = details.map(({ label, value }) => plainText(`${label}\n${value}`, SLACK.altText));
  const text = escaped(details.map(({ label, value }) => `${label}: ${value}`).join("\n"));
  return { text: shorten(text, SLACK.text), blocks: [{ type: "section", fields }] };
}

export interface SaidOptions {
  /** What the person asked for, so that it need not be typed again. */
  wish?: string | undefined;
  buttons?: Button[][];
  value?: string | undefined;
}

/** Sentences for one person. */
export function renderSaid(
  said: Sentence[],
  locale: string,
  { wish = "", buttons = [], value }: SaidOptions = {},
): Rendered {
  const text = said.map(({ key, params }) => say(stringsFor(locale), key, params)).join("\n");
  const asked = oneLine(wish, SLACK.text);
  const blocks = [...(asked ? [section(asked)] : []), section(text), ...actions(buttons, value)];
  return { text: escaped(shorten(text, SLACK.text)), blocks };
}

export const section = (text: string) => ({ type: "section", text: plainText(text, SLACK.text) });
export const context = (text: string) => ({ type: "context", elements: [plainText(text, SLACK.text)] });

/** The block's id names the picture: a message that is edited shows a new one under a new id alone. */
function image(picture: { file: string } | { url: string }, alt: string) {
  const source = "file" in picture ? { slack_file: { id: picture.file } } : { image_url: picture.url };
  return {
    type: "image",
    block_id: `picture-${"file" in picture ? picture.file : picture.url.slice(-60)}`,
    alt_text: shorten(alt, SLACK.altText),
    ...source,
  };
}

/** A row of buttons per block. */
export function actions(buttons: Button[][], value?: string) {
  return buttons
    .filter((row) => row.length > 0)
    .map((row) => ({
      type: "actions",
      elements: row.map(({ action, id, index, label, tone }) => ({
        type: "button",
        text: plainText(label, SLACK.button),
        action_id: writeCustomId({ action, id, index }),
        ...(tone === "secondary" ? {} : { style: tone }),
        ...(value === undefined ? {} : { value }),
      })),
    }));
}

function readyIn({ readyAt, readyWhen, inSeconds }: View, now: number): string[] {
  if (readyAt === null) return [];
  const seconds = Math.max(1, Math.round((readyAt - now) / 1000));
  return [readyWhen.replace("{when}", inSeconds.replace("{seconds}", String(seconds)))];
}

export interface Form {
  prompt: string;
  avoid: string;
  seed: string;
}

/** The form of Remix and Same seed. */
export function renderForm(callbackId: string, metadata: string, { prompt, avoid, seed }: Form, locale: string) {
  const strings = stringsFor(locale);
  const input = (name: string, label: string, value: string, required: boolean) => ({
    type: "input",
    block_id: name,
    optional: !required,
    label: plainText(label, SLACK.inputLabel),
    element: {
      type: "plain_text_input",
      action_id: name,
      multiline: name === "prompt",
      max_length: SLACK.inputText,
      ...(value === "" ? {} : { initial_value: value.slice(0, SLACK.inputText) }),
    },
  });
  return {
    type: "modal",
    callback_id: callbackId,
    private_metadata: metadata,
    title: plainText(strings.remix, SLACK.modalTitle),
    submit: plainText(strings.submit, SLACK.modalButton),
    close: plainText(strings.cancel, SLACK.modalButton),
    blocks: [
      input("prompt", strings.label_prompt, prompt, true),
      input("avoid", strings.label_avoid, avoid, false),
      input("seed", strings.label_seed, seed, false),
    ],
  };
}
