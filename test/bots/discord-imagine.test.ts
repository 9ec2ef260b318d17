import { afterEach, beforeEach, describe, it } from "vitest";
import { DiscordWorld, labels, until } from "./discord-bot.ts";
import { CATS } from "./sample.ts";

let world: DiscordWorld;
beforeEach(async () => {
  world = await DiscordWorld.start();
});
afterEach(async () => {
  await world.stop();
});

describe("/imagine on Discord", () => {
  it("turns a sentence into a picture with words for those who do not see it", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.draw({ prompt: `${CATS} --seed 7 --ar 3:2` });
    expect(world.api.get(id)).toMatchObject({ prompt: CATS, user: "discord:42", parameters: { seed: 7 } });
    expect(message.content).toContain(`\`${CATS}\``);
    expect(message.attachments).toMatchObject([{ bytes: 12 }]);
    expect(message.attachments[0]?.description).toContain(CATS);
    expect(labels(message)).toEqual([
      "Reroll",
      "Remix",
      "Same seed",
      "Details",
      "Delete",
      "Vary 1",
      "That's what I meant",
      "Not what I meant",
      "⭐ Favorite",
    ]);
    expect(world.discord.refusals).toEqual([]);
  });

  it("answers fifty people at once while the API hangs", async ({ expect }) => {
    await world.bot();
    world.api.mood = "hanging";
    const sent = await Promise.all(
      Array.from({ length: 50 }, () => world.send(world.discord.command("imagine", { prompt: CATS }))),
    );
    for (const payload of sent) expect(world.discord.of(payload).callback?.type).toBe(5);
    expect(world.api.created).toBe(0);
    world.api.release();
    await until(() => world.api.created === 50);
  });

  it("shows progress with restraint and the last state always", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    for (let step = 1; step <= 40; step++) {
      world.api.progress(id, step / 41);
      world.clock.advance(250);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await world.shown(message, /▰/);
    expect(labels(message)).toEqual(["Cancel"]);
    expect(message.content).toMatch(/ready <t:\d+:R>/);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    const times = message.edits.map(({ at }) => at);
    for (const [i, at] of times.entries()) if (i > 0) expect(at - (times[i - 1] ?? 0)).toBeGreaterThanOrEqual(2_000);
    expect(times.length).toBeLessThanOrEqual(7);
  });

  it("does not show the progress of what is quick", async ({ expect }) => {
    await world.bot();
    const { message } = await world.draw({ prompt: CATS });
    expect(message.edits).toHaveLength(1);
  });

  it("draws twenty pictures in one channel without one refusal", async ({ expect }) => {
    await world.bot();
    const jobs: Awaited<ReturnType<DiscordWorld["imagine"]>>[] = [];
    for (let i = 0; i < 20; i++) jobs.push(await world.imagine({ prompt: `${CATS} ${i}` }));
    for (let step = 1; step < 10; step++) {
      for (const { id } of jobs) world.api.progress(id, step / 10);
      world.clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const { id } of jobs) world.api.succeed(id);
    for (const { message } of jobs) await world.shown(message, /Drawn in/);
    expect(world.discord.limited).toBe(0);
    expect(world.discord.refusals).toEqual([]);
  });

  it("tells every mistake at once, to the one who made it, and asks the API nothing", async ({ expect }) => {
    await world.bot();
    const payload = await world.send(world.discord.command("imagine", { prompt: "cat --bananas 3 --seed x" }));
    const message = world.discord.messageOf(payload);
    expect(message.flags & 64).toBe(64);
    expect(message.content).toContain("`cat --bananas 3 --seed x`\nThere is no flag");
    expect(message.content).toContain("is not a seed");
    expect(world.api.created).toBe(0);
  });

  it("speaks the person's language", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS }, { locale: "de" });
    world.api.progress(id, 0.5);
    await world.shown(message, /Wird gezeichnet/);
    expect(labels(message)).toEqual(["Abbrechen"]);
  });

  it("keeps a private picture private, and asks for permissions before it draws a public one", async ({ expect }) => {
    await world.bot();
    const { message } = await world.draw({ prompt: `${CATS} --private` });
    expect(message.flags & 64).toBe(64);
    const denied = await world.send(world.discord.command("imagine", { prompt: CATS }, { app_permissions: "1024" }));
    expect(world.discord.messageOf(denied).content).toContain("Attach Files");
    expect(world.api.created).toBe(1);
  });
});
