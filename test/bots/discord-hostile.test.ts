import { expect, test } from "vitest";
import { DiscordWorld, until } from "./discord-bot.ts";
import { hostilePrompts, UNQUIET } from "./hostile.ts";

const BATCH = 50;

test("a thousand hostile prompts ping nobody, break no message and crash nothing", async () => {
  const world = await DiscordWorld.start();
  await world.bot();
  let drawn = 0;
  let refused = 0;
  const prompts = hostilePrompts(1000);
  for (let at = 0; at < prompts.length; at += BATCH) {
    const batch = prompts.slice(at, at + BATCH);
    const known = new Set(world.api.generations.keys());
    const sent = await Promise.all(
      batch.map((prompt) => world.send(world.discord.command("imagine", { prompt: prompt.toWellFormed() }))),
    );
    const deferred = sent.filter((payload) => world.discord.of(payload).callback?.type === 5);
    // A refusal stands beside the answer that it takes away.
    const messageOf = (payload: (typeof sent)[number]) =>
      world.discord.of(payload).followUps[0] ?? world.discord.messageOf(payload);
    await until(() => {
      for (const [id, { status }] of world.api.generations)
        if (!known.has(id) && status !== "succeeded") world.api.succeed(id);
      world.clock.advance(100);
      return sent
        .map(messageOf)
        .every(({ content, components }) => content !== "" && components[0]?.components[0]?.label !== "Cancel");
    });
    const messages = sent.map(messageOf);
    const ended = [...world.api.generations].filter(([id]) => !known.has(id)).length;
    expect(messages.filter(({ attachments }) => attachments.length > 0)).toHaveLength(ended);
    drawn += ended;
    refused += sent.length - ended;
    for (const message of messages) {
      for (const { content } of message.edits) checkContent(content);
      for (const { description = "" } of message.attachments) expect(description).not.toMatch(UNQUIET);
    }
    expect(deferred.length).toBeGreaterThanOrEqual(ended);
  }
  // Both ways are really taken: most are drawn, those that are too long are refused in a sentence.
  expect(drawn).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(20);
  // The double refuses every message that may ping, and whatever Discord would.
  expect(world.discord.refusals).toEqual([]);
  expect(world.logged.filter(({ event }) => event === "answer_failed")).toEqual([]);
  await world.stop();
});

/** The prompt stands in one code span, in which nothing is markup; what follows holds none of it. */
function checkContent(content: string): void {
  expect(content).not.toMatch(UNQUIET);
  const [first = "", ...rest] = content.split("\n");
  if (first.startsWith("`")) expect(first).toMatch(/^`[^`]*`$/);
  const outside = [...(first.startsWith("`") ? [] : [first]), ...rest].join("\n");
  expect(outside).not.toMatch(/(?<!\\)[`*_~|]|(?<!\\)@|(?<!\\)<[@#!/]|(?<!\\):\/\//);
}
