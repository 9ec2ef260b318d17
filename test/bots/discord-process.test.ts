import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { BotsError, bots as run } from "../../src/bots/main.ts";
import { APP_ID, BOT_TOKEN } from "../fakes/discord.ts";
import { FakeVignette } from "../fakes/vignette.ts";
import { until } from "./discord-bot.ts";
import { DiscordServer } from "./discord-server.ts";
import { serve } from "./http.ts";

const RUN = join(import.meta.dirname, "../../scripts/run.mjs");
let api: FakeVignette;
let http: Awaited<ReturnType<typeof serve>>;
let server: DiscordServer;
let children: ChildProcess[];

beforeEach(async () => {
  server = await DiscordServer.start(Date.now);
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

/** `npm run bots` as a process of its own. */
function bots(args: string[] = [], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [RUN, "bots", ...args], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      VIGNETTE_URL: http.origin,
      VIGNETTE_API_KEY: api.key,
      DISCORD_TOKEN: BOT_TOKEN,
      DISCORD_APP_ID: APP_ID,
      DISCORD_API_URL: server.apiUrl,
      ...env,
    },
  });
  children.push(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (said += chunk));
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { child, ended, said: () => said };
}

describe("npm run bots", () => {
  it("loses no job and posts no picture twice, whatever state it is killed in", async ({ expect }) => {
    const { discord } = server;
    const imagine = async (text: string) => {
      const before = api.created;
      const payload = discord.interaction(discord.command("imagine", { prompt: `three purple cats ${text}` }));
      server.dispatch(payload);
      await until(() => api.created > before);
      return { id: api.last().id, message: discord.messageOf(payload) };
    };
    const first = bots();
    await until(() => first.said().includes("connected"));
    const shown = await imagine("--seed 1");
    api.succeed(shown.id);
    await until(() => shown.message.content.includes("Drawn in"));
    const queued = await imagine("--seed 2");
    const drawing = await imagine("--seed 3");
    await until(() => {
      // Whoever listens a moment later hears it the next time.
      api.progress(drawing.id, 0.4);
      return drawing.message.content.includes("40 %");
    });
    const hidden = await imagine("--seed 4 --private");
    api.mood = "hanging";
    const asked = discord.interaction(discord.command("imagine", { prompt: "three purple cats --seed 5" }));
    server.dispatch(asked);
    await until(() => discord.of(asked).message?.content.includes("In line") ?? false);

    first.child.kill("SIGKILL");
    await first.ended;
    // What the dead bot asked for at last never came through.
    api.drop();
    api.mood = "well";
    for (const { id } of [queued, drawing, hidden]) api.succeed(id);
    const edits = shown.message.edits.length;

    const second = bots();
    for (const { message } of [queued, drawing, hidden]) await until(() => message.content.includes("Drawn in"));
    const message = discord.messageOf(asked);
    server.dispatch(discord.interaction(discord.press(message, "Ask again")));
    await until(() => api.created === 5);
    expect(api.last().parameters.seed).toBe(5);
    api.succeed(api.last().id);
    await until(() => message.content.includes("Drawn in"));

    for (const one of [shown.message, queued.message, drawing.message, hidden.message, message])
      expect(one.attachments).toHaveLength(1);
    expect(shown.message.edits).toHaveLength(edits);
    expect(discord.messages.size).toBe(5);
    expect(discord.refusals).toEqual([]);
    second.child.kill("SIGTERM");
    await second.ended;
    expect(first.said() + second.said()).not.toMatch(/three purple cats|token-|vgt_/);
  });

  it("registers the commands, once", async ({ expect }) => {
    const first = bots(["register"]);
    expect(await first.ended).toBe(0);
    expect(first.said()).toMatch(/written: imagine/);
    const again = bots(["register"]);
    expect(await again.ended).toBe(0);
    expect(again.said()).toContain("as they should be");
    expect(server.discord.commandWrites).toBe(1);
  });

  it.for([
    [{ DISCORD_TOKEN: "" }, "No bot has tokens"],
    [{ DISCORD_APP_ID: "" }, "DISCORD_APP_ID is missing"],
    [{ DISCORD_APP_ID: "me" }, "DISCORD_APP_ID is not an application id"],
    [{ DISCORD_API_URL: "discord" }, "DISCORD_API_URL must be an http(s) URL"],
    [{ DISCORD_TOKEN: `${BOT_TOKEN}-revoked` }, "Discord does not know DISCORD_TOKEN"],
  ] as const)("says in a sentence what is wrong: %o", async ([env, sentence], { expect }) => {
    const host = {
      env: { DISCORD_TOKEN: BOT_TOKEN, DISCORD_APP_ID: APP_ID, DISCORD_API_URL: server.apiUrl, ...env },
      connect: async () => ({ url: http.origin, apiKey: api.key }),
      signal: new AbortController().signal,
      say: () => {},
      log: () => {},
    };
    await expect(run(["register"], host)).rejects.toThrow(sentence);
    await expect(run(["register"], host)).rejects.toThrow(BotsError);
  });
});
