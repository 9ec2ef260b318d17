import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import { hashKey } from "../../src/contract/keys.ts";
import { readChatSettings } from "../../src/worker/chat/settings.ts";
import { keyStore } from "../../src/worker/storage/keys.ts";
import { DISCORD_PUBLIC_KEY, signAsDiscord } from "../fakes/chat-keys.ts";
import { FakeDiscord } from "../fakes/discord.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, edge, installRunner } from "./harness.ts";

// One for all tests: the same interaction's id never draws twice.
const discord = new FakeDiscord(() => Date.now());
let runner: FakeRunner;
const until = (condition: () => unknown) => vi.waitUntil(condition, { timeout: 30_000, interval: 5 });

beforeEach(async () => {
  vi.restoreAllMocks();
  runner = installRunner();
  const { fetch: toRunner } = runner;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input as Request, init as RequestInit);
    return request.url.startsWith(env.DISCORD_API_URL) ? discord.fetch(request as never) : toRunner(request);
  });
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

/** Sends an interaction as Discord does; the answer acknowledges it, as reading it does. */
async function send(fields: Record<string, unknown>) {
  const payload = discord.interaction(fields);
  const body = JSON.stringify(payload);
  const response = await post(body, await signAsDiscord(body, Date.now()));
  expect(response.status).toBe(200);
  const callback = (await response.json()) as { type: number; data?: Record<string, unknown> };
  discord.acknowledge(String(payload.token), callback);
  return { payload, callback };
}

const post = (body: string, headers: Record<string, string>) =>
  edge(new Request(new URL("/discord/interactions", env.PUBLIC_URL), { method: "POST", headers, body }));

async function draw(prompt: string) {
  const { payload, callback } = await send(discord.command("imagine", { prompt }));
  expect(callback.type).toBe(5);
  const message = discord.messageOf(payload);
  const prediction = await arrival(runner);
  await runner.draw(prediction.id);
  await until(() => /Drawn in/.test(message.content));
  return { message, prediction };
}

test("a ping is answered, and only one that Discord signed", async () => {
  const body = JSON.stringify({ type: 1, id: "1", application_id: "2", token: "t" });
  const headers = await signAsDiscord(body, Date.now());
  expect(await (await post(body, headers)).json()).toEqual({ type: 1 });
  const refused: [string, Record<string, string>][] = [
    [body.replace("1", "2"), headers],
    [body, { ...headers, "X-Signature-Timestamp": String(Number(headers["X-Signature-Timestamp"]) + 1) }],
    [body, { ...headers, "X-Signature-Ed25519": "00".repeat(64) }],
    [body, { ...headers, "X-Signature-Ed25519": "no" }],
    [body, { "Content-Type": "application/json" }],
    // Kept by somebody and sent again.
    [body, await signAsDiscord(body, Date.now() - 600_000)],
  ];
  for (const [text, given] of refused) {
    const response = await post(text, given);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ code: "signature_invalid" });
  }
});

test("a sentence becomes a posted picture with its buttons", async () => {
  const { message } = await draw("two purple cats fell asleep on the beach");
  expect(message.attachments).toHaveLength(1);
  expect(message.attachments[0]?.bytes).toBeGreaterThan(0);
  expect(message.attachments[0]?.description).toContain("purple cats");
  const labels = message.components.flatMap((row) => row.components).map(({ label }) => label);
  expect(labels).toEqual(expect.arrayContaining(["Reroll", "Remix", "Details", "Delete"]));
  expect(discord.refusals.filter((line) => !line.startsWith("10015"))).toEqual([]);
  expect(discord.limited).toBe(0);
});

test("its buttons work: Reroll draws in a message of its own, Details tell, Delete removes", async () => {
  const { message, prediction } = await draw("two purple cats");
  runner.predictions.clear();
  const again = await send(discord.press(message, "Reroll"));
  const second = await arrival(runner);
  expect(second.id).not.toBe(prediction.id);
  await runner.draw(second.id);
  await until(() => /Drawn in/.test(discord.messageOf(again.payload).content));

  const details = await send(discord.press(message, "Details"));
  await until(() => /two purple cats/.test(discord.messageOf(details.payload).content));

  await send(discord.press(message, "Delete"));
  await until(() => message.deleted);
  const key = env.CHAT_API_KEY;
  expect((await call("GET", `/v1/generations/${prediction.id}`, { key })).status).toBe(404);
});

test("Cancel ends the drawing, and the message says so", async () => {
  const { payload } = await send(discord.command("imagine", { prompt: "two purple cats" }));
  const message = discord.messageOf(payload);
  await arrival(runner);
  await until(() => message.components.length > 0);
  await send(discord.press(message, "Cancel"));
  await until(
    () => /[Cc]ancel/.test(message.content) && !message.components.some((row) => row.components[0]?.label === "Cancel"),
  );
  expect(message.attachments).toEqual([]);
});

test("the same work done twice, as after a restart, draws once and posts once", async () => {
  const payload = discord.interaction(discord.command("imagine", { prompt: "two purple cats" }));
  discord.acknowledge(String(payload.token), { type: 5 });
  const task = { kind: "discord_work", interaction: { ...payload, arrived: Date.now() } } as never;
  const object = (name: string) => env.CHAT.get(env.CHAT.idFromName(name));
  await object("first").start(task);
  const { id } = await arrival(runner);
  await runner.draw(id);
  const message = discord.messageOf(payload);
  await until(() => /Drawn in/.test(message.content));
  const [posted, edits] = [discord.messages.size, message.edits.length];
  await object("second").start(task);
  await until(() => message.edits.length > edits);
  expect([...runner.predictions.keys()]).toEqual([id]);
  expect(message.content).toMatch(/Drawn in/);
  expect(message.attachments).toHaveLength(1);
  expect(discord.messages.size).toBe(posted);
});

test("what cannot be drawn is told to the asker alone, with the wish, and no message stays", async () => {
  const { payload } = await send(discord.command("imagine", { prompt: "two cats", style: "nonsense" }));
  await until(() => discord.of(payload).followUps.length > 0);
  const [told] = discord.of(payload).followUps;
  expect(told?.content).toMatch(/^`two cats --style nonsense`\nThere is no style nonsense/);
  expect(told?.flags).toBe(64);
  expect(discord.messageOf(payload).deleted).toBe(true);
});

test("a picture is posted though Discord limits and fails at first", async () => {
  discord.faults.push(
    { match: /^PATCH .*@original$/, status: 429, retryAfter: 0.02 },
    { match: /^GET .*@original$/, status: 502 },
  );
  const { message } = await draw("two purple cats");
  expect(discord.faults).toEqual([]);
  expect(message.attachments).toHaveLength(1);
});

test("a chat that lacks its key names the variable; one that is not set up is no address", async () => {
  expect(readChatSettings({ CHAT_API_KEY: "vgt_x" })).toBeNull();
  expect(() => readChatSettings({ DISCORD_PUBLIC_KEY })).toThrow(/CHAT_API_KEY .*is missing/);
  expect(() => readChatSettings({ DISCORD_PUBLIC_KEY: "abc", CHAT_API_KEY: "vgt_x" })).toThrow(/64 hexadecimal digits/);
});
