import { expect, test } from "vitest";
import { hostilePrompts, UNQUIET } from "./hostile.ts";
import { labels, picturesOf, SlackWorld, saidIn } from "./slack-bot.ts";

const BATCH = 50;

test("a thousand hostile prompts ping nobody, break no message and crash nothing", async () => {
  const world = await SlackWorld.start();
  world.slack.looks = 1;
  await world.bot();
  let drawn = 0;
  let refused = 0;
  const prompts = hostilePrompts(1000);
  for (let at = 0; at < prompts.length; at += BATCH) {
    const known = new Set(world.api.generations.keys());
    const before = world.slack.messages.length;
    // A channel for every ten, so that a second between two messages in one does not add up.
    await Promise.all(
      prompts.slice(at, at + BATCH).map((prompt, i) => {
        const channel = `C${i % 10}`;
        world.slack.workspace().channels.set(channel, { kind: "public", member: true, archived: false });
        return world.send(world.slack.command(prompt.toWellFormed(), { channel }));
      }),
    );
    const messages = () => world.slack.messages.slice(before);
    await world.passing(() => {
      for (const [id, { status }] of world.api.generations)
        if (!known.has(id) && status !== "succeeded") world.api.succeed(id);
      // One of each: the job's message, or the sentence that says why there is none.
      const over = messages().filter((message) => !message.deleted && !labels(message).includes("Ask again"));
      return over.length === BATCH && over.every((message) => !labels(message).includes("Cancel"));
    }, 2_000);
    const ended = [...world.api.generations].filter(([id]) => !known.has(id)).length;
    expect(messages().filter((message) => picturesOf(message).length > 0)).toHaveLength(ended);
    drawn += ended;
    refused += BATCH - ended;
    for (const message of messages()) {
      for (const { text, blocks } of message.edits) {
        expect(saidIn({ blocks })).not.toMatch(UNQUIET);
        expect(text).not.toMatch(UNQUIET);
        expect(text.replaceAll(/&(?:amp|lt|gt);/g, "")).not.toMatch(/[<>&]/);
        expect(JSON.stringify(blocks)).not.toContain('"mrkdwn"');
      }
      for (const { alt } of picturesOf(message)) expect(alt).not.toMatch(UNQUIET);
    }
  }
  // Both ways are really taken: most are drawn, those that are too long are refused in a sentence.
  expect(drawn).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(20);
  // The double refuses every text that may ping, and whatever Slack would.
  expect(world.slack.refusals).toEqual([]);
  expect(world.logged.filter(({ event }) => event === "answer_failed" || event === "bolt_error")).toEqual([]);
  await world.stop();
});
