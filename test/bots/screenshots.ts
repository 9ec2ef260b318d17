/**
 * docs/images/slack.png and discord.png: what the doubles of both platforms recorded while the real bots drew real
 * pictures at a running Vignette, laid out in a browser.
 *
 *   VIGNETTE_URL=… VIGNETTE_API_KEY=… node test/bots/screenshots.ts
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { chromium } from "playwright-core";
import { CHROMIUM_FLAGS, findChromium } from "../../scripts/lib/chromium.mjs";
import { readCustomId } from "../../src/bots/core/custom-id.ts";
import { startDiscord } from "../../src/bots/discord/process.ts";
import { startSlack } from "../../src/bots/slack/process.ts";
import { Client } from "../../src/client/index.ts";
import { APP_ID, BOT_TOKEN as DISCORD_TOKEN } from "../fakes/discord.ts";
import { APP_TOKEN, type FakeDelivery, BOT_TOKEN as SLACK_TOKEN, USER } from "../fakes/slack.ts";
import { DiscordServer } from "./discord-server.ts";
import { SlackServer } from "./slack-server.ts";

const FOLDER = join(import.meta.dirname, "../../docs/images");
const PROMPT = "three purple cats fell asleep on the beach --seed 23";
const { VIGNETTE_URL: url = "", VIGNETTE_API_KEY: apiKey = "" } = process.env;
if (!url || !apiKey) throw new Error("Set VIGNETTE_URL and VIGNETTE_API_KEY to those of a running Vignette.");
const api = new Client({ url, apiKey });

/** A message as either platform lays it out. */
interface Card {
  hidden: boolean;
  lines: { text: string; kind: "text" | "small" | "field" | "code" }[];
  pictures: string[];
  rows: { label: string; tone: string }[][];
}
type Block = Record<string, unknown>;
type Said = { text: string };

async function slackCards(): Promise<Card[]> {
  const server = await SlackServer.start(Date.now);
  const { slack } = server;
  const settings = {
    botToken: SLACK_TOKEN,
    appToken: APP_TOKEN,
    signingSecret: null,
    port: 0,
    apiUrl: server.apiUrl,
    oauth: null,
  };
  const bot = await startSlack({ settings, api: { url, apiKey }, log: () => {} });
  const send = async (delivery: FakeDelivery) => {
    server.dispatch(delivery);
    await until(() => delivery.ackedAt !== null);
  };
  await send(slack.command(`${PROMPT} --n 2`));
  await until(() => slack.messages.some(({ blocks }) => blocks.some(({ type }) => type === "image")));
  const [message] = slack.messages;
  if (!message) throw new Error("no message");
  await send(slack.press(message, "Details"));
  await until(() => slack.messages.some(({ to }) => to === USER));
  await send(slack.command(`${PROMPT.replace("purple", "green")} --private`));
  const preview = () =>
    slack.messages.find(({ to, blocks }) => to === USER && blocks.some(({ type }) => type === "image"));
  await until(() => preview() !== undefined);
  const drawing = message.edits.find(({ blocks }) => JSON.stringify(blocks).includes("▰"));
  const details = slack.messages.find(({ to, blocks }) => to === USER && blocks.some(({ fields }) => fields));
  const shown = [
    drawing && { blocks: drawing.blocks, hidden: false },
    { blocks: message.blocks, hidden: false },
    details && { blocks: details.blocks, hidden: true },
    { blocks: preview()?.blocks ?? [], hidden: true },
  ];
  const cards = await Promise.all(shown.flatMap((one) => (one ? [slackCard(one.blocks, one.hidden)] : [])));
  await bot.stop();
  await server.stop();
  return cards;
}

async function slackCard(blocks: Block[], hidden: boolean): Promise<Card> {
  const lines = blocks.flatMap(({ type, text, elements, fields }): Card["lines"] => [
    ...(text ? [{ text: (text as Said).text, kind: "text" as const }] : []),
    ...(type === "context"
      ? (elements as Said[]).map((element) => ({ text: element.text, kind: "small" as const }))
      : []),
    ...((fields as Said[] | undefined) ?? []).map((field) => ({ text: field.text, kind: "field" as const })),
  ]);
  const rows = blocks
    .filter(({ type }) => type === "actions")
    .map(({ elements }) =>
      (elements as Block[]).map(({ text, style }) => ({ label: (text as Said).text, tone: String(style ?? "plain") })),
    );
  const images = blocks.filter(({ type }) => type === "image").length;
  const ids = blocks.flatMap(({ elements }) =>
    ((elements as Block[] | undefined) ?? []).map(({ action_id }) => action_id),
  );
  return { hidden, lines, rows, pictures: images > 0 ? await picturesOf(ids.map(String)) : [] };
}

async function discordCards(): Promise<Card[]> {
  const server = await DiscordServer.start(Date.now);
  const { discord } = server;
  const settings = { token: DISCORD_TOKEN, application: APP_ID, apiUrl: server.apiUrl };
  const bot = await startDiscord({ settings, api: { url, apiKey }, log: () => {} });
  const states: { content: string; components: typeof message.components }[] = [];
  const send = (fields: Record<string, unknown>) => {
    const payload = discord.interaction(fields);
    server.dispatch(payload);
    return payload;
  };
  const payload = send(discord.command("imagine", { prompt: `${PROMPT}4 --n 4` }));
  await until(() => discord.of(payload).message !== null);
  const message = discord.messageOf(payload);
  await until(() => {
    if (message.content.includes("▰") && states.length === 0)
      states.push({ content: message.content, components: message.components });
    return message.attachments.length > 0;
  });
  states.push({ content: message.content, components: message.components });
  const asked = send(discord.press(message, "Details"));
  await until(() => /\n/.test(discord.of(asked).message?.content ?? ""));
  const { content, components } = discord.messageOf(asked);
  const cards = await Promise.all([
    ...states.map((state) => discordCard(state, false)),
    discordCard({ content, components }, true),
  ]);
  await bot.stop();
  await server.stop();
  return cards;
}

async function discordCard(
  { content, components }: { content: string; components: { components: { custom_id: string; label: string }[] }[] },
  hidden: boolean,
): Promise<Card> {
  const rows = components.map((row) =>
    row.components.map((button) => ({ label: button.label, tone: String((button as Block).style) })),
  );
  const ids = components.flatMap((row) => row.components.map(({ custom_id }) => custom_id));
  const done = /Drawn/.test(content);
  return { hidden, lines: content.split("\n").map(discordLine), rows, pictures: done ? await picturesOf(ids) : [] };
}

function discordLine(line: string): Card["lines"][number] {
  const [, code] = /^`(.*)`$/.exec(line) ?? [];
  if (code !== undefined) return { text: code, kind: "code" };
  const [, bold] = /^\*\*(.*)\*\*$/.exec(line) ?? [];
  if (bold !== undefined) return { text: bold, kind: "field" };
  const text = line.replace(/<t:\d+:R>/g, "in 5 seconds").replace(/\\(.)/g, "$1");
  return text.startsWith("-# ") ? { text: text.slice(3), kind: "small" } : { text, kind: "text" };
}

/** The pictures of the generation that a message's buttons belong to, as `data:` addresses. */
async function picturesOf(ids: string[]): Promise<string[]> {
  const id = ids.map((one) => readCustomId(one)?.id).find(Boolean);
  if (!id) return [];
  const { images } = await api.generations.get(id);
  return Promise.all(
    images.map(async (image) => `data:image/png;base64,${Buffer.from(await api.image(image)).toString("base64")}`),
  );
}

async function shoot(name: string, cards: Card[], style: string, picturesAt: number): Promise<void> {
  const browser = await chromium.launch({ executablePath: findChromium() ?? "chromium", args: CHROMIUM_FLAGS });
  const page = await browser.newPage({ viewport: { width: 720, height: 400 }, deviceScaleFactor: 1.5 });
  await page.setContent(
    `<style>${BASE}${style}</style><main>${cards.map((card) => html(card, picturesAt)).join("")}</main>`,
  );
  await page.locator("main").screenshot({ path: join(FOLDER, name) });
  await browser.close();
}

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\n", "<br>");

/** Slack shows a message's blocks in their order, one below the other; Discord its files below all of its text. */
function html({ hidden, lines, pictures, rows }: Card, picturesAt: number): string {
  const said = lines.map(({ text, kind }) => `<p class="${kind}">${escaped(text)}</p>`);
  const [above, below] = [said.slice(0, picturesAt).join(""), said.slice(picturesAt).join("")];
  const shown = pictures.map((source) => `<img src="${source}" alt="">`).join("");
  const buttons = rows
    .map(
      (row) =>
        `<div class="row">${row.map(({ label, tone }) => `<b class="t${tone}">${escaped(label)}</b>`).join("")}</div>`,
    )
    .join("");
  const only = hidden ? `<p class="small">Only visible to you</p>` : "";
  const body = `${only}${above}<div class="pictures">${shown}</div><div class="rest">${below}</div>${buttons}`;
  const details = hidden && pictures.length === 0 ? " details" : "";
  return `<article class="${hidden ? "hidden" : ""}${details}"><i>V</i><div><p class="name">Vignette <span>APP</span></p>${body}</div></article>`;
}

const BASE = `* { box-sizing: border-box; margin: 0 } main { width: 720px; padding: 16px }
article { display: flex; gap: 12px; padding: 12px 8px } article > div { flex: 1; min-width: 0 }
i { font: bold 20px/36px sans-serif; width: 36px; height: 36px; text-align: center; border-radius: 8px; background: #5b4fc0; color: #fff }
p { font: 15px/1.45 "Noto Sans", "DejaVu Sans", sans-serif; overflow-wrap: anywhere } .name { font-weight: bold }
.name span { font-size: 10px; padding: 1px 4px; border-radius: 3px; vertical-align: 2px }
.small { font-size: 12.5px } img { width: 150px; border-radius: 6px; margin: 6px 6px 2px 0; vertical-align: top }
.row { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 8px }
b { font: 600 13px/1 "Noto Sans", "DejaVu Sans", sans-serif; padding: 9px 12px; border-radius: 6px }
.code { font-family: "DejaVu Sans Mono", monospace; font-size: 13px; padding: 1px 4px; border-radius: 4px; width: fit-content; max-width: 100% }`;

const SLACK_STYLE = `.pictures img { display: block; width: 240px } main { background: #fff } p { color: #1d1c1d } .name span { background: #ddd; color: #555 } .small { color: #616061 }
article.hidden { background: #f8f8f8; border-radius: 8px } article.details > div { display: grid; grid-template-columns: 1fr 1fr; gap: 4px 16px } article.details .name, article.details .small { grid-column: 1 / 3 }
article.details .rest, article.details .pictures { display: contents } .field { font-size: 13px }
b { border: 1px solid #bbb; color: #1d1c1d } .tprimary { background: #007a5a; border-color: #007a5a; color: #fff } .tdanger { color: #e01e5a; border-color: #e01e5a }`;

const DISCORD_STYLE = `main { background: #313338 } p { color: #dbdee1 } .name span { background: #5865f2; color: #fff } .small { color: #949ba4 }
article.hidden { background: #2b2d43; border-radius: 8px } .code { background: #1e1f22 } .field { font-weight: bold; margin-top: 4px }
b { background: #4e5058; color: #fff; font-weight: 500 } .t1 { background: #5865f2 } .t4 { background: #da373c }`;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10);
}

await shoot("slack.png", await slackCards(), SLACK_STYLE, 1);
await shoot("discord.png", await discordCards(), DISCORD_STYLE, Number.POSITIVE_INFINITY);
