import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { DiscordServer } from "../test/bots/discord-server.ts";
import { serve } from "../test/bots/http.ts";
import { SlackServer } from "../test/bots/slack-server.ts";
import { DISCORD_PUBLIC_KEY, SLACK_SIGNING_SECRET, signAsDiscord } from "../test/fakes/chat-keys.ts";
import { APP_ID, BOT_TOKEN as DISCORD_TOKEN, FakeDiscord } from "../test/fakes/discord.ts";
import { APP_TOKEN, FakeSlack, BOT_TOKEN as SLACK_BOT_TOKEN } from "../test/fakes/slack.ts";
import { requestOf } from "../test/fakes/slack-request.ts";
import { FakeVignette } from "../test/fakes/vignette.ts";
import { quantile, round } from "./statistics.ts";

const RUN = join(import.meta.dirname, "../scripts/run.mjs");
const AT_ONCE = 50;
const ROUNDS = 5;
const PROMPT = "three purple cats fell asleep on the beach";

/** Milliseconds from delivering a command to having its acknowledgement, of 50 commands delivered at once. */
export interface Acks {
  bot: string;
  api: "well" | "hanging" | "refusing";
  commands: number;
  p50: number;
  p95: number;
  max: number;
}

/** Every bot that is a process, against doubles of its platform and of the API. */
export async function measureAcks(): Promise<Acks[]> {
  return [...(await discord()), ...(await slack("socket")), ...(await slack("http"))];
}

/** The edge's two endpoints, which the API's refusal of their key leaves alone. */
export async function measureEdgeAcks(url: string): Promise<Acks[]> {
  const doubles = { discord: new FakeDiscord(Date.now), slack: new FakeSlack(Date.now) };
  const asDiscord = async () => {
    const body = JSON.stringify(doubles.discord.interaction(doubles.discord.command("imagine", { prompt: PROMPT })));
    return { path: "/discord/interactions", body, headers: await signAsDiscord(body, Date.now()) };
  };
  const asSlack = () => requestOf(doubles.slack.command(PROMPT), Date.now());
  const rows: Acks[] = [];
  for (const [bot, make] of [
    ["Discord, edge", asDiscord],
    ["Slack, edge", asSlack],
  ] as const) {
    const samples = await rounds(async () => {
      const requests = await Promise.all(Array.from({ length: AT_ONCE }, make));
      return Promise.all(requests.map((request) => posted(url, request)));
    });
    rows.push(rowOf(bot, "refusing", samples));
  }
  return rows;
}

/** What the edge needs to answer both platforms; where they are reached is nobody's. */
export const EDGE_VARIABLES = {
  CHAT_API_KEY: "vgt_unknown",
  DISCORD_PUBLIC_KEY,
  DISCORD_API_URL: "http://127.0.0.1:9/api",
  SLACK_SIGNING_SECRET,
  SLACK_BOT_TOKEN,
  SLACK_API_URL: "http://127.0.0.1:9/api/",
};

export const acksTable = (rows: Acks[]) => `| ${AT_ONCE} commands at once | API | p50 | p95 | longest |
|---|---|---|---|---|
${rows.map(({ bot, api, p50, p95, max }) => `| ${bot} | ${api} | ${p50} ms | ${p95} ms | ${max} ms |`).join("\n")}`;

async function discord(): Promise<Acks[]> {
  const server = await DiscordServer.start(Date.now);
  const env = { DISCORD_TOKEN, DISCORD_APP_ID: APP_ID, DISCORD_API_URL: server.apiUrl };
  return withBot("Discord, gateway", env, server, async () => {
    const payloads = Array.from({ length: AT_ONCE }, () =>
      server.discord.interaction(server.discord.command("imagine", { prompt: PROMPT })),
    );
    for (const payload of payloads) server.dispatch(payload);
    const all = payloads.map((payload) => server.discord.of(payload));
    await until(() => all.every(({ ackedAt }) => ackedAt !== null));
    return all.map(({ ackedAt, createdAt }) => (ackedAt ?? 0) - createdAt);
  });
}

async function slack(transport: "socket" | "http"): Promise<Acks[]> {
  const server = await SlackServer.start(Date.now);
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const env = {
    SLACK_BOT_TOKEN,
    SLACK_API_URL: server.apiUrl,
    ...(transport === "socket" ? { SLACK_APP_TOKEN: APP_TOKEN } : { SLACK_SIGNING_SECRET, SLACK_PORT: String(port) }),
  };
  return withBot(`Slack, Bolt over ${transport}`, env, server, async () => {
    const deliveries = Array.from({ length: AT_ONCE }, () => server.slack.command(PROMPT));
    if (transport === "http") {
      const requests = await Promise.all(deliveries.map((delivery) => requestOf(delivery, Date.now())));
      return Promise.all(requests.map((request) => posted(`http://127.0.0.1:${port}`, request)));
    }
    for (const delivery of deliveries) server.dispatch(delivery);
    await until(() => deliveries.every(({ ackedAt }) => ackedAt !== null));
    return deliveries.map(({ ackedAt, at }) => (ackedAt ?? 0) - at);
  });
}

async function withBot(
  bot: string,
  env: Record<string, string>,
  server: { stop: () => Promise<void> },
  send: () => Promise<number[]>,
): Promise<Acks[]> {
  let api: FakeVignette | null = null;
  const http = await serve((request) => (api as FakeVignette).fetch(request));
  api = new FakeVignette({ url: http.origin, now: Date.now });
  const { PATH, HOME } = process.env;
  const own = { PATH, HOME, VIGNETTE_URL: http.origin, VIGNETTE_API_KEY: api.key, ...env };
  const child = spawn(process.execPath, [RUN, "bots"], { env: own, stdio: ["ignore", "pipe", "ignore"] });
  try {
    await ready(child);
    // What is compiled once and looked up once is no part of any answer after the first.
    await send();
    const rows: Acks[] = [];
    for (const mood of ["well", "hanging"] as const) {
      api.mood = mood;
      rows.push(rowOf(bot, mood, await rounds(send)));
    }
    return rows;
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
    api.drop();
    await http.close();
    await server.stop();
  }
}

async function ready(child: ChildProcess): Promise<void> {
  let said = "";
  child.stdout?.on("data", (chunk) => {
    said += chunk;
  });
  await until(() => /is connected|listens on/.test(said));
}

async function rounds(send: () => Promise<number[]>): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round++) samples.push(...(await send()));
  return samples;
}

async function posted(
  url: string,
  { path, body, headers }: { path: string; body: string; headers: Record<string, string> },
): Promise<number> {
  const began = performance.now();
  const response = await fetch(`${url}${path}`, { method: "POST", body, headers });
  if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
  return performance.now() - began;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2);
}

const rowOf = (bot: string, api: Acks["api"], samples: number[]): Acks => ({
  bot,
  api,
  commands: samples.length,
  p50: round(quantile(samples, 0.5)),
  p95: round(quantile(samples, 0.95)),
  max: round(Math.max(...samples)),
});
