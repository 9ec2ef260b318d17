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
  it("draws for Discord, and a killed one's work is taken up by the next, posted once", async ({ expect }) => {
    const first = bots();
    await until(() => first.said().includes("connected"));
    const payload = server.discord.interaction(server.discord.command("imagine", { prompt: "three purple cats" }));
    server.dispatch(payload);
    await until(() => api.created === 1);
    first.child.kill("SIGKILL");
    await first.ended;
    api.succeed(api.last().id);

    const second = bots();
    const message = server.discord.messageOf(payload);
    await until(() => message.content.includes("Drawn in"));
    expect(message.attachments).toHaveLength(1);
    expect(api.created).toBe(1);
    expect(server.discord.refusals).toEqual([]);
    await until(() => second.said().includes("connected"));
    second.child.kill("SIGTERM");
    await second.ended;
    expect(second.said()).not.toMatch(/three purple cats|token-|vgt_/);
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
