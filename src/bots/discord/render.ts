import { writeCustomId } from "../core/custom-id.ts";
import type { Detail } from "../core/details.ts";
import { type Sentence, say, stringsFor } from "../core/strings.ts";
import { oneLine, shorten } from "../core/text.ts";
import type { Button, View } from "../core/view.ts";
import { DISCORD, EPHEMERAL } from "./limits.ts";

const STYLES = { primary: 1, secondary: 2, danger: 4 } as const;
const BAR = 10;
const ROW = 5;
/** A wish that is longer than this does not stand whole in a message. */
export const WISH_CHARS = 1_800;

/** Nobody is ever pinged by what somebody else wrote. */
export const NO_PINGS = { allowed_mentions: { parse: [] as string[] } };

/** A view as the body of a message; files are sent beside it under the same names, in the same order. */
export function renderView(view: View, extra: { line?: string } = {}) {
  const bar =
    view.fraction === null
      ? ""
      : ` ${"▰".repeat(Math.round(view.fraction * BAR)).padEnd(BAR, "▱")} ${Math.floor(view.fraction * 100)} %`;
  const ready =
    view.readyAt === null ? [] : [view.readyWhen.replace("{when}", `<t:${Math.round(view.readyAt / 1000)}:R>`)];
  const status = [`${inert(view.headline)}${bar}`, ...ready, ...view.facts.map(inert)].join(" · ");
  const lines = [view.prompt ? codeSpan(view.prompt) : "", status, view.note ? `-# ${inert(view.note)}` : ""];
  return {
    content: shorten([...lines, extra.line ?? ""].filter((line) => line !== "").join("\n"), DISCORD.content),
    components: rows(view.buttons),
    attachments: view.images.map(({ filename, alt, covered }, id) => ({
      id,
      filename: covered ? `SPOILER_${filename}` : filename,
      description: shorten(alt, DISCORD.altText),
    })),
    ...NO_PINGS,
  };
}

/** A message whose job the API has not accepted yet; the wish stands in it, so that it can be asked for again. */
export function renderWaiting(wish: string, customId: string, locale: string | undefined) {
  const strings = stringsFor(locale);
  return {
    content: `${codeSpan(wish)}\n${inert(strings.queued)}`,
    components: [resumeRow(customId, strings.resume)],
    ...NO_PINGS,
  };
}

const resumeRow = (custom_id: string, label: string) => ({
  type: 1,
  components: [{ type: 2, style: STYLES.secondary, label, custom_id }],
});

export function renderDetails(details: Detail[]) {
  const text = details.map(({ label, value }) => `**${label}**\n${codeSpan(value)}`).join("\n");
  return { content: shorten(text, DISCORD.content), components: [], ...NO_PINGS };
}

/**
 * Sentences for one person.
 * @param options.wish what they asked for, so that it need not be typed again, and `resume`: the id of a button that asks again
 */
export function renderSaid(
  said: Sentence[],
  locale: string | undefined,
  { buttons = [], wish = "", resume = null }: { buttons?: Button[][]; wish?: string; resume?: string | null } = {},
) {
  const strings = stringsFor(locale);
  const asked = oneLine(wish, WISH_CHARS);
  const lines = [
    ...(asked ? [codeSpan(asked)] : []),
    ...said.map(({ key, params }) => inert(say(strings, key, params))),
  ];
  return {
    content: shorten(lines.join("\n"), DISCORD.content),
    components: [...rows(buttons), ...(resume === null || asked !== wish ? [] : [resumeRow(resume, strings.resume)])],
    flags: EPHEMERAL,
    ...NO_PINGS,
  };
}

/** Inside a code span nothing is markup: no mention, no link, no emphasis. Only a backtick could end it. */
export function codeSpan(text: string): string {
  return `\`${text.replaceAll("`", "ˋ") || "…"}\``;
}

/** Text in which nothing is markup, a mention or a link. */
export function inert(text: string): string {
  return text.replace(/[\\*_~`|>#[\]()<@]|(?<=https?):/g, "\\$&");
}

function rows(buttons: Button[][]) {
  return buttons
    .flatMap((row) => (row.length > ROW ? [row.slice(0, ROW), row.slice(ROW)] : [row]))
    .filter((row) => row.length > 0)
    .map((row) => ({
      type: 1,
      components: row.map(({ action, id, index, label, tone }) => ({
        type: 2,
        style: STYLES[tone],
        label: shorten(label, DISCORD.label),
        custom_id: writeCustomId({ action, id, index }),
      })),
    }));
}

/** The form of Remix and Same seed. */
export function renderModal(
  customId: string,
  { prompt, avoid, seed }: { prompt: string; avoid: string; seed: string },
  locale: string | undefined,
) {
  const strings = stringsFor(locale);
  const input = (custom_id: string, label: string, value: string, required: boolean, style: 1 | 2) => ({
    type: 18,
    label: shorten(label, DISCORD.modalLabel),
    component: {
      type: 4,
      custom_id,
      style,
      required,
      max_length: DISCORD.modalText,
      ...(value === "" ? {} : { value: value.slice(0, DISCORD.modalText) }),
    },
  });
  return {
    custom_id: customId,
    title: shorten(strings.remix, DISCORD.modalTitle),
    components: [
      input("prompt", strings.label_prompt, prompt, true, 2),
      input("avoid", strings.label_avoid, avoid, false, 1),
      input("seed", strings.label_seed, seed, false, 1),
    ],
  };
}
