import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { SlackServer } from "../bots/slack-server.ts";
import { SLACK_SIGNING_SECRET } from "../fakes/chat-keys.ts";
import {
  APP_TOKEN,
  BOT_TOKEN,
  type FakeDelivery,
  type FakeSlackMessage,
  picturesOf,
  saidIn,
  USER,
} from "../fakes/slack.ts";
import { requestOf } from "../fakes/slack-request.ts";
import { type Instance, Place, ROOT, until } from "./launch.ts";

const PROMPT = "three purple cats fell asleep on the beach";

/** `/imagine` at a running Vignette, each picture really drawn, by both ways that Slack reaches a bot. */
describe("/imagine on Slack with a running Vignette", { timeout: 600_000 }, () => {
  let place: Place;
  let server: SlackServer;

  before(async () => {
    place = await Place.create();
    server = await SlackServer.start(() => Date.now());
  });
  after(async () => {
    await place?.leave();
    await server?.stop();
  });

  async function start(env: Record<string, string>): Promise<Instance> {
    const given = { SLACK_API_URL: server.apiUrl, SLACK_BOT_TOKEN: BOT_TOKEN, ...env };
    return (await place.start(given)).instance;
  }

  /** The message becomes a picture whose buttons draw another one, tell of it and take it away. */
  async function imagines(
    send: (delivery: FakeDelivery) => Promise<void>,
    teaches?: () => Promise<void>,
  ): Promise<void> {
    const { slack } = server;
    const posts = () => slack.messages.filter(({ to }) => to === null);
    const newest = async (count: number) => {
      await until(async () => posts().length === count);
      return posts().at(-1) as FakeSlackMessage;
    };
    const drawn = (message: FakeSlackMessage) => until(async () => picturesOf(message).length > 0);
    const known = posts().length;
    await send(slack.command(`${PROMPT} --seed 23`));
    const message = await newest(known + 1);
    await drawn(message);
    assert.match(saidIn(message), /three purple cats fell asleep on the beach/);
    const [picture] = picturesOf(message);
    assert.ok((slack.files.get(picture?.file ?? "")?.bytes ?? 0) > 1000, "a picture, not a placeholder");
    assert.match(picture?.alt ?? "", /purple cats/);

    await send(slack.press(message, "Reroll"));
    await drawn(await newest(known + 2));
    await send(slack.press(message, "Details"));
    await until(async () =>
      slack.messages.some((one) => one.to === USER && /How I read your prompt/.test(saidIn(one))),
    );
    await send(slack.press(message, "That's what I meant"));
    const asks = () => slack.shown.findLast((one) => one.to === USER && /Nothing is kept unless/.test(saidIn(one)));
    const thanks = () => slack.shown.some((one) => one.to === USER && /Kept, thank you/.test(saidIn(one)));
    await until(async () => asks() !== undefined || thanks());
    const asked = asks();
    if (asked) await send(slack.press(asked, "Keep it"));
    await until(async () => thanks());
    await teaches?.();
    await send(slack.press(message, "Delete"));
    await until(async () => message.deleted);
    assert.deepEqual(slack.refusals, []);
    assert.equal(slack.limited, 0);
  }

  /** What somebody agreed to have kept becomes a row that the adapter is trained on. */
  async function becomesData(): Promise<void> {
    const [lines, built] = [join(place.state, "gallery.jsonl"), join(place.state, "surd")];
    await vignette("feedback", "export", "-o", lines, "--license", "CC0-1.0");
    await vignette("surd", "build", "--from-gallery", lines, "--min-side", "64", built);
    const [row = ""] = (await readFile(join(built, "metadata.jsonl"), "utf8")).split("\n");
    const { text, prompt } = JSON.parse(row) as { text: string; prompt: string };
    assert.equal(text, PROMPT);
    assert.ok(prompt.length > 0 && prompt !== PROMPT, prompt);
  }
  async function vignette(...args: string[]): Promise<void> {
    const env = { ...process.env, VIGNETTE_STATE: place.state };
    await promisify(execFile)(process.execPath, [join(ROOT, "scripts", "vignette.mjs"), ...args], { env });
  }

  let key = "";
  it("through the socket, by the bot that `npm start` runs beside it", async () => {
    ({ api_key: key } = await start({ SLACK_APP_TOKEN: APP_TOKEN }));
    await until(async () => server.connections > 0);
    await imagines(async (delivery) => {
      server.dispatch(delivery);
      await until(async () => delivery.ackedAt !== null);
    }, becomesData);
    await place.stop();
  });

  it("over HTTP, answered by the edge itself", async () => {
    const { url } = await start({ SLACK_SIGNING_SECRET, CHAT_API_KEY: key });
    await imagines(async (delivery) => {
      const { path, body, headers } = await requestOf(delivery, Date.now());
      const response = await fetch(`${url}${path}`, { method: "POST", body, headers });
      assert.equal(response.status, 200);
      const text = await response.text();
      server.slack.acknowledge(delivery.id, text ? JSON.parse(text) : {});
    });
  });
});
