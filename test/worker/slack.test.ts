import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import { sealOf } from "../../src/bots/slack/seal.ts";
import { hashKey } from "../../src/contract/keys.ts";
import type { ChatTaskObject } from "../../src/worker/chat/object.ts";
import { readChatSettings } from "../../src/worker/chat/settings.ts";
import { keyStore } from "../../src/worker/storage/keys.ts";
import { slackInstallations } from "../../src/worker/storage/slack-installations.ts";
import { SLACK_SIGNING_SECRET, signAsSlack } from "../fakes/chat-keys.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import {
  BOT_TOKEN,
  BOT_USER,
  buttonsOf,
  CHANNEL,
  type FakeDelivery,
  FakeSlack,
  type FakeSlackMessage,
  picturesOf,
  saidIn,
  TEAM,
  USER,
} from "../fakes/slack.ts";
import { requestOf } from "../fakes/slack-request.ts";
import { arrival, call, edge, installRunner } from "./harness.ts";

const CATS = "two purple cats fell asleep on the beach";
// One for all tests: the same request's id never draws twice.
const slack = new FakeSlack(Date.now);
let runner: FakeRunner;
const until = (condition: () => unknown) => vi.waitUntil(condition, { timeout: 30_000, interval: 5 });
const store = async () => slackInstallations(env.DB, await sealOf(env.SLACK_ENCRYPTION_KEY), Date.now);

beforeEach(async () => {
  vi.restoreAllMocks();
  slack.looks = 1;
  slack.refusals.length = 0;
  runner = installRunner();
  const { fetch: toRunner } = runner;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input as Request, init as RequestInit);
    return request.url.startsWith(slack.origin) ? slack.fetch(request as never) : toRunner(request);
  });
  await (await store()).save({ team: TEAM, org: null, token: BOT_TOKEN, bot: "B1", botUser: BOT_USER });
  await keyStore(env.DB)
    .insert(
      {
        id: "key_chat",
        hash: await hashKey(env.CHAT_API_KEY),
        prefix: "vgt_wFwEXD",
        accountId: "chat",
        name: "bots",
        scopes: ["generate", "read"],
        limits: {},
        createdAt: Date.now(),
        expiresAt: null,
        revokedAt: null,
      },
      { operator: false },
    )
    .catch(() => {});
});

const post = (path: string, body: string, headers: Record<string, string>) =>
  edge(new Request(new URL(path, env.PUBLIC_URL), { method: "POST", headers, body }));

/** Delivers as Slack does; an answer with 200 acknowledges. */
async function send(delivery: FakeDelivery): Promise<FakeDelivery> {
  const { path, body, headers } = await requestOf(delivery, Date.now());
  const response = await post(path, body, headers);
  expect(response.status).toBe(200);
  const text = await response.text();
  slack.acknowledge(delivery.id, text ? (JSON.parse(text) as Record<string, unknown>) : {});
  return delivery;
}

/** What everybody sees, oldest first. */
const posted = () => slack.messages.filter(({ to }) => to === null);

async function draw(text: string): Promise<{ message: FakeSlackMessage; id: string }> {
  await send(slack.command(text));
  const { id } = await arrival(runner);
  const message = posted().at(-1) as FakeSlackMessage;
  await runner.draw(id);
  await until(() => /Drawn in/.test(saidIn(message)));
  return { message, id };
}

test("what Slack did not sign, changed or sent long ago is refused; its check of the address is answered", async () => {
  const body = JSON.stringify({ type: "url_verification", challenge: "abc" });
  const headers = await signAsSlack(body, Date.now(), "application/json");
  expect(await (await post("/slack/events", body, headers)).json()).toEqual({ challenge: "abc" });
  const refused: [string, Record<string, string>][] = [
    [body.replace("abc", "abd"), headers],
    [body, { ...headers, "X-Slack-Request-Timestamp": String(Number(headers["X-Slack-Request-Timestamp"]) + 1) }],
    [body, { ...headers, "X-Slack-Signature": `v0=${"0".repeat(64)}` }],
    [body, { ...headers, "X-Slack-Signature": "no" }],
    [body, { "Content-Type": "application/json" }],
    // Kept by somebody and sent again; from the future.
    [body, await signAsSlack(body, Date.now() - 301_000, "application/json")],
    [body, await signAsSlack(body, Date.now() + 302_000, "application/json")],
  ];
  for (const [text, given] of refused) {
    const response = await post("/slack/events", text, given);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ code: "signature_invalid" });
  }
  const check = "token=x&ssl_check=1";
  expect((await post("/slack/commands", check, await signAsSlack(check, Date.now()))).status).toBe(200);
});

test("a sentence becomes a posted picture with its buttons", async () => {
  const { message, id } = await draw(CATS);
  const [picture] = picturesOf(message);
  expect(picture?.alt).toContain("purple cats");
  expect(slack.files.get(picture?.file ?? "")?.bytes).toBeGreaterThan(0);
  expect(buttonsOf(message.blocks).map(({ label }) => label)).toEqual(
    expect.arrayContaining(["Reroll", "Remix", "Details", "Delete"]),
  );
  const { user, metadata } = await (await call("GET", `/v1/generations/${id}`, { key: env.CHAT_API_KEY })).json<{
    user: string;
    metadata: Record<string, string>;
  }>();
  expect(user).toBe(`slack:${TEAM}:${USER}`);
  expect(metadata).toMatchObject({ chat: "slack", place: TEAM, message: message.ts });
  expect(posted()).toHaveLength(1);
  expect(slack.refusals).toEqual([]);
  expect(slack.limited).toBe(0);
});

test("its buttons work: Reroll draws in a message of its own, Details tell, Remix opens, Delete removes", async () => {
  const { message, id } = await draw("two purple cats");
  runner.predictions.clear();
  await send(slack.press(message, "Reroll"));
  const second = await arrival(runner);
  expect(second.id).not.toBe(id);
  await runner.draw(second.id);
  const again = posted().at(-1) as FakeSlackMessage;
  await until(() => /Drawn in/.test(saidIn(again)));
  expect(again).not.toBe(message);

  await send(slack.press(message, "Details"));
  await until(() => slack.messages.some(({ to, ...one }) => to === USER && /two purple cats/.test(saidIn(one))));

  await send(slack.press(message, "Remix"));
  await until(() => slack.views.size === 1);
  const [view = ""] = slack.views.keys();
  const wrong = await send(slack.submit(view, { prompt: "a fox --x" }));
  expect(wrong.ack).toMatchObject({ response_action: "errors" });
  runner.predictions.clear();
  await send(slack.submit(view, { prompt: "a red dragon" }));
  const third = await arrival(runner);
  expect(third.input.prompt).toBe("a red dragon");
  await runner.draw(third.id);

  await send(slack.press(message, "Delete"));
  await until(() => message.deleted);
  expect((await call("GET", `/v1/generations/${id}`, { key: env.CHAT_API_KEY })).status).toBe(404);
});

test("Cancel ends the drawing, and the message says so", async () => {
  await send(slack.command("two purple cats"));
  await arrival(runner);
  const message = posted().at(-1) as FakeSlackMessage;
  await until(() => buttonsOf(message.blocks).some(({ label }) => label === "Cancel"));
  await send(slack.press(message, "Cancel"));
  await until(() => /Canceled/.test(saidIn(message)));
  expect(picturesOf(message)).toEqual([]);
});

test("what Slack delivers again, as it does when an answer was lost, draws once and posts once", async () => {
  const before = posted().length;
  const first = slack.mention("two purple cats", { id: "Ev77" });
  const second = slack.mention("two purple cats", { id: "Ev77" });
  await send(first);
  await send(second);
  const { id } = await arrival(runner);
  await runner.draw(id);
  const message = posted().at(-1) as FakeSlackMessage;
  await until(() => /Drawn in/.test(saidIn(message)));
  await send(slack.mention("two purple cats", { id: "Ev77" }));
  runner.predictions.clear();
  const { message: other } = await draw("a red dragon");
  expect(posted().slice(before)).toEqual([message, other]);
  expect(message.thread).toBe("1700000001.000100");
});

test("work that was cut off after its message was posted goes on in that message", async () => {
  const { id, payload } = slack.command("two purple cats");
  slack.acknowledge(id);
  const form = { channel: CHANNEL, text: "In line", blocks: "[]" };
  const headers = { Authorization: `Bearer ${BOT_TOKEN}`, "Content-Type": "application/x-www-form-urlencoded" };
  const body = new URLSearchParams(form).toString();
  const request = new Request(`${slack.origin}/api/chat.postMessage`, { method: "POST", headers, body });
  const { ts, channel } = await (await slack.fetch(request as never)).json<{ ts: string; channel: string }>();
  const before = posted().length;

  const object = env.CHAT.get(env.CHAT.idFromName(`slack:${payload.trigger_id}`));
  await runInDurableObject(object, (_, { storage }) => storage.put("made:message", { ts, channel }));
  const task = { kind: "slack_work", delivery: { kind: "command", body: payload }, arrived: Date.now() } as never;
  await object.start(task);
  const prediction = await arrival(runner);
  await object.start(task);
  await runner.draw(prediction.id);
  const message = posted().at(-1) as FakeSlackMessage;
  expect(message.ts).toBe(ts);
  await until(() => /Drawn in/.test(saidIn(message)));
  expect(posted()).toHaveLength(before);
  expect([...runner.predictions.keys()]).toEqual([prediction.id]);
});

test("many at once in one channel wait for their turns, which one object gives to all", async () => {
  const before = posted().length;
  const many = 8;
  const turns = await turnsToPost();
  await Promise.all(Array.from({ length: many }, (_, i) => send(slack.command(`two purple cats, the ${i}th`))));
  await until(() => runner.predictions.size === many);
  await Promise.all([...runner.predictions.keys()].map((id) => runner.draw(id)));
  await until(() =>
    posted()
      .slice(before)
      .every((message) => /Drawn in/.test(saidIn(message))),
  );
  expect(posted()).toHaveLength(before + many);
  expect(turns).toHaveLength(many);
  expect(new Set(turns.map(({ name }) => name)).size).toBe(1);
  // When a call arrives is the machine's doing; when its turn comes is ours: no four within a second.
  const comes = turns.map(({ at }) => at).sort((a, b) => a - b);
  for (const [i, fourth] of comes.slice(3).entries()) expect(fourth - (comes[i] ?? 0)).toBeGreaterThanOrEqual(999);
});

test("what the API refuses is told to the asker, and no message stays", async () => {
  await send(slack.command("x --style nonsense"));
  await until(() => slack.messages.some(({ to, ...one }) => to === USER && /nonsense/.test(saidIn(one))));
  await until(() => posted().at(-1)?.deleted);
});

test("a picture is posted though Slack limits and fails at first", async () => {
  slack.faults.push(
    { match: /chat.update/, status: 429, retryAfter: 0.02 },
    { match: /files.getUploadURLExternal/, status: 502 },
  );
  const { message } = await draw("two purple cats");
  expect(slack.faults).toEqual([]);
  expect(picturesOf(message)).toHaveLength(1);
});

test("a workspace installs the app, draws, and is forgotten when it throws it out", async () => {
  const page = (path: string, headers = {}) =>
    edge(new Request(new URL(path, env.PUBLIC_URL), { headers, redirect: "manual" }));
  const begin = await page("/slack/install");
  expect(begin.status).toBe(302);
  const cookie = begin.headers.get("Set-Cookie")?.split(";")[0] ?? "";
  expect(begin.headers.get("Set-Cookie")).toMatch(/HttpOnly.*Secure.*SameSite=Lax/);
  const allowed = await slack.fetch(new Request(begin.headers.get("Location") ?? "") as never);
  const back = new URL(allowed.headers.get("Location") ?? "");
  expect(back.href).toContain(`${env.PUBLIC_URL}/slack/oauth_redirect?`);
  // Somebody else's browser has no such cookie, and a state of one's own making opens nothing.
  expect((await page(`${back.pathname}${back.search}`)).status).toBe(400);
  expect((await page("/slack/oauth_redirect?code=x&state=y", { cookie: "slack-app-oauth-state=y" })).status).toBe(400);
  const installed = await page(`${back.pathname}${back.search}`, { cookie });
  expect(installed.status).toBe(200);
  const other = { team: "T0000000002", org: null };
  expect((await (await store()).find(other))?.token).toBe("xoxb-of-T0000000002");
  const row = await env.DB.prepare("SELECT sealed FROM slack_installations WHERE name = ?").bind(other.team).first();
  expect(String(row?.sealed)).not.toContain("xoxb");

  await send(slack.command("two purple cats", { team: other.team }));
  await runner.draw((await arrival(runner)).id);
  const message = posted().at(-1) as FakeSlackMessage;
  expect(message.team).toBe(other.team);
  await until(() => /Drawn in/.test(saidIn(message)));
  await send(slack.event({ type: "app_uninstalled" }, { team: other.team }));
  await vi.waitUntil(async () => (await (await store()).find(other)) === null, { timeout: 30_000, interval: 5 });
  const refused = await send(slack.command("two purple cats", { team: other.team }));
  expect(refused.ack).toMatchObject({ text: expect.stringContaining("/slack/install") });
});

test("a chat that lacks a variable names it; one that is not set up is no address", async () => {
  const given = { SLACK_SIGNING_SECRET, CHAT_API_KEY: "vgt_x" };
  expect(readChatSettings({ CHAT_API_KEY: "vgt_x" })).toBeNull();
  expect(() => readChatSettings({ SLACK_SIGNING_SECRET })).toThrow(/CHAT_API_KEY .*is missing/);
  expect(() => readChatSettings(given)).toThrow(/SLACK_BOT_TOKEN .*is missing/);
  expect(() => readChatSettings({ ...given, SLACK_CLIENT_ID: "1.2" })).toThrow(/SLACK_CLIENT_SECRET .*is missing/);
  expect(() => readChatSettings({ ...given, SLACK_BOT_TOKEN: "xoxp" })).toThrow(/must be a bot token/);
  expect(readChatSettings({ ...given, SLACK_BOT_TOKEN: BOT_TOKEN })).toMatchObject({
    discord: null,
    slack: { oauth: null },
  });
});

/** The turns to post that are given from here on: by which object, and when each comes. */
async function turnsToPost(): Promise<{ name: string; at: number }[]> {
  const turns: { name: string; at: number }[] = [];
  const any = env.CHAT.get(env.CHAT.idFromName("any"));
  const kind = await runInDurableObject(any, (object) => Object.getPrototypeOf(object) as ChatTaskObject);
  const { turn } = kind;
  vi.spyOn(kind, "turn").mockImplementation(async function (this: ChatTaskObject, method, channel, options) {
    const wait = await turn.call(this, method, channel, options);
    const name = String((this as unknown as { ctx: DurableObjectState }).ctx.id);
    if (method === "chat.postMessage") turns.push({ name, at: Date.now() + (wait ?? 0) });
    return wait;
  });
  return turns;
}
