import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { BotsError, bots as run } from "../../src/bots/main.ts";
import { manifest } from "../../src/bots/slack/manifest.ts";
import { SLACK_SIGNING_SECRET } from "../fakes/chat-keys.ts";
import { APP_TOKEN, BOT_TOKEN, CLIENT, type FakeSlackMessage } from "../fakes/slack.ts";
import { FakeVignette } from "../fakes/vignette.ts";
import { serve } from "./http.ts";
import { labels, picturesOf, saidIn, until } from "./slack-bot.ts";
import { SlackServer } from "./slack-server.ts";

const RUN = join(import.meta.dirname, "../../scripts/run.mjs");
const CATS = "three purple cats fell asleep on the beach";
let api: FakeVignette;
let http: Awaited<ReturnType<typeof serve>>;
let server: SlackServer;
let children: ChildProcess[];

beforeEach(async () => {
  server = await SlackServer.start(Date.now);
  http = await serve((request) => api.fetch(request));
  api = new FakeVignette({ url: http.origin, now: Date.now });
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  api.release();
  await http.close();
  await server.stop();
});

const tokens = () => ({ SLACK_BOT_TOKEN: BOT_TOKEN, SLACK_APP_TOKEN: APP_TOKEN, SLACK_API_URL: server.apiUrl });

/** `npm run bots` as a process of its own. */
function bots() {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [RUN, "bots"], {
    env: { PATH, HOME, VIGNETTE_URL: http.origin, VIGNETTE_API_KEY: api.key, ...tokens() },
  });
  children.push(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (said += chunk));
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { child, ended, said: () => said };
}

/** `/imagine`, up to the job and its message. */
async function imagine(text: string): Promise<{ id: string; message: FakeSlackMessage }> {
  const [created, posted] = [api.created, server.slack.messages.length];
  server.dispatch(server.slack.command(text));
  await until(() => api.created > created && server.slack.messages.length > posted);
  return { id: api.last().id, message: server.slack.messages.at(-1) as FakeSlackMessage };
}

describe("npm run bots, for Slack", () => {
  it("loses no job and posts no picture twice, whatever state it is killed in", async ({ expect }) => {
    const { slack } = server;
    const first = bots();
    await until(() => first.said().includes("The Slack bot is connected"));

    const shown = await imagine(`${CATS} --seed 1`);
    api.succeed(shown.id);
    await until(() => /Drawn in/.test(saidIn(shown.message)));
    const queued = await imagine(`${CATS} --seed 2`);
    const drawing = await imagine(`${CATS} --seed 3`);
    await until(() => {
      // Whoever listens a moment later hears it the next time.
      api.progress(drawing.id, 0.4);
      return /40 %/.test(saidIn(drawing.message));
    });
    const preview = await imagine(`${CATS} --seed 4 --private`);
    const uploading = await imagine(`${CATS} --seed 5`);
    slack.looks = Number.POSITIVE_INFINITY;
    api.succeed(uploading.id);
    await until(() => slack.files.size === 2);
    api.mood = "hanging";
    const posted = slack.messages.length;
    server.dispatch(slack.command(`${CATS} --seed 6`));
    await until(() => slack.messages.length > posted);
    const asked = slack.messages.at(-1) as FakeSlackMessage;

    first.child.kill("SIGKILL");
    await first.ended;
    slack.looks = 1;
    // What the dead bot asked for at last never came through.
    api.drop();
    api.mood = "well";
    for (const { id } of [queued, drawing, preview]) api.succeed(id);
    const edits = shown.message.edits.length;

    const second = bots();
    for (const { message } of [queued, drawing, preview, uploading])
      await until(() => /Drawn in/.test(saidIn(message)));
    server.dispatch(slack.press(asked, "Ask again"));
    await until(() => api.created === 6);
    expect(api.last().parameters.seed).toBe(6);
    api.succeed(api.last().id);
    await until(() => /Drawn in/.test(saidIn(asked)));

    expect(slack.messages).toHaveLength(6);
    for (const message of slack.messages) expect(picturesOf(message)).toHaveLength(1);
    expect(shown.message.edits).toHaveLength(edits);
    expect(labels(asked)).toContain("Reroll");
    expect(slack.refusals).toEqual([]);
    second.child.kill("SIGTERM");
    await second.ended;
    expect(first.said() + second.said()).not.toMatch(/purple cats|xoxb|xapp|vgt_|\/response\//);
  });

  it.for([
    [{ SLACK_BOT_TOKEN: "xoxp-1" }, "SLACK_BOT_TOKEN is not a bot token"],
    [{ SLACK_APP_TOKEN: "" }, "SLACK_APP_TOKEN is missing"],
    [{ SLACK_BOT_TOKEN: "" }, "SLACK_BOT_TOKEN is missing"],
    [{ SLACK_CLIENT_ID: "1.2" }, "set one of them"],
    [{ SLACK_BOT_TOKEN: "", SLACK_CLIENT_ID: "1.2" }, "SLACK_CLIENT_SECRET is missing"],
    [{ SLACK_PORT: "many" }, "SLACK_PORT must be a port"],
    [{ SLACK_API_URL: "http://127.0.0.1:9/api/" }, "does not answer"],
    [{ SLACK_BOT_TOKEN: "xoxb-revoked" }, "Slack does not take SLACK_BOT_TOKEN (invalid_auth)"],
    [{ SLACK_APP_TOKEN: "xapp-revoked" }, "Slack does not take SLACK_APP_TOKEN (invalid_auth)"],
  ] as const)("says in a sentence what is wrong: %o", async ([env, sentence], { expect }) => {
    const host = {
      env: { ...tokens(), SLACK_SIGNING_SECRET: "", ...env },
      connect: async () => ({ url: http.origin, apiKey: api.key }),
      signal: AbortSignal.abort(),
      say: () => {},
      log: () => {},
    };
    const failed = run([], host);
    await expect(failed).rejects.toThrow(BotsError);
    await expect(failed).rejects.toThrow(sentence);
  });

  it.for([
    ["listening", { SLACK_APP_TOKEN: "", SLACK_SIGNING_SECRET }],
    [
      "installing",
      {
        SLACK_BOT_TOKEN: "",
        SLACK_CLIENT_ID: CLIENT.id,
        SLACK_CLIENT_SECRET: CLIENT.secret,
        SLACK_ENCRYPTION_KEY: Buffer.alloc(32).toString("base64"),
      },
    ],
  ] as const)("names a port that is taken: %s", async ([, env], { expect }) => {
    const host = {
      env: { ...tokens(), ...env, SLACK_PORT: new URL(http.origin).port },
      connect: async () => ({ url: http.origin, apiKey: api.key }),
      signal: AbortSignal.abort(),
      say: () => {},
      log: () => {},
    };
    // The double listens on one address of this machine; taken is taken.
    await expect(run([], host)).rejects.toThrow(/port \d+ is taken; set SLACK_PORT/);
  });

  it("listens where there is no app token, and prints the manifest for either", async ({ expect }) => {
    const said: string[] = [];
    const host = {
      env: { ...tokens(), SLACK_APP_TOKEN: "", SLACK_SIGNING_SECRET, SLACK_PORT: "0" },
      connect: async () => ({ url: http.origin, apiKey: api.key }),
      signal: AbortSignal.abort(),
      say: (line: string) => void said.push(line),
      log: () => {},
    };
    expect(await run([], host)).toBe(0);
    expect(said.join()).toMatch(/The Slack bot listens on port \d+/);
    await run(["manifest", "https://bot.example/"], host);
    expect(JSON.parse(said.at(-1) ?? "")).toMatchObject({
      settings: {
        socket_mode_enabled: false,
        event_subscriptions: { request_url: "https://bot.example/slack/events" },
        interactivity: { request_url: "https://bot.example/slack/interactions" },
      },
    });
    await expect(run(["manifest", "http://bot.example"], host)).rejects.toThrow(/no https/);
  });

  it("has its manifest in the repository", async ({ expect }) => {
    const file = await readFile(join(import.meta.dirname, "../../src/bots/slack/manifest.json"), "utf8");
    expect(JSON.parse(file)).toEqual(manifest(null));
  });
});
