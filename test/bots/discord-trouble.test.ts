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

describe("what goes wrong", () => {
  it.for([
    ["down", /does not answer/],
    ["revoked", /VIGNETTE\\_API\\_KEY/],
    ["busy", /too much to do/],
    ["quota", /used up today's pictures/],
  ] as const)("ends in a sentence for the asker, with the wish and a way on: %s", async ([mood, text], { expect }) => {
    await world.bot();
    world.api.mood = mood;
    const payload = await world.send(world.discord.command("imagine", { prompt: CATS, seed: 9 }));
    const told = await world.whispered(payload, text);
    expect(told.content).toContain(`\`${CATS} --seed 9\``);
    expect(world.discord.messageOf(payload).deleted).toBe(true);
    world.api.mood = "well";
    const again = await world.send(world.discord.press(told, "Ask again"));
    await until(() => world.api.created === 1);
    const message = world.discord.messageOf(again);
    expect(message.flags & 64).toBe(0);
    world.api.succeed(world.api.last().id);
    await world.shown(message, /Drawn in/);
    expect(world.api.last().parameters.seed).toBe(9);
    expect(world.discord.refusals).toEqual([]);
  });

  it("does not draw twice what was accepted though its answer was lost", async ({ expect }) => {
    await world.bot();
    world.api.mood = "deaf";
    const payload = await world.send(world.discord.command("imagine", { prompt: CATS }));
    const told = await world.whispered(payload, /does not answer/);
    world.api.mood = "well";
    const again = await world.send(world.discord.press(told, "Ask again"));
    world.api.succeed(world.api.last().id);
    await world.shown(world.discord.messageOf(again), /Drawn in/);
    expect(world.api.created).toBe(1);
  });

  it("keeps a private wish private when it is refused, and says no way on where there is none", async ({ expect }) => {
    await world.bot();
    world.api.mood = "busy";
    const payload = await world.send(world.discord.command("imagine", { prompt: `${CATS} --private` }));
    const message = world.discord.messageOf(payload);
    await world.shown(message, /too much to do/);
    expect(message.flags & 64).toBe(64);
    world.api.mood = "well";
    await world.send(world.discord.press(message, "Ask again"));
    await until(() => world.api.created === 1);
    world.api.succeed(world.api.last().id);
    await world.shown(message, /Drawn in/);
    const wrong = await world.send(world.discord.command("imagine", { prompt: `${CATS} --style cubist` }));
    const told = await world.whispered(wrong, /There is no style/);
    expect(told.content).toContain(`${CATS} --style cubist`);
    expect(told.components).toEqual([]);
  });

  it("tells why a picture failed, with a way on", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    world.api.fail(id, "Out of memory at 4096 x 4096; ask for less.");
    await world.shown(message, /could not be drawn: Out of memory/);
    expect(labels(message)).toEqual(["Retry", "Remix"]);
    const retry = await world.send(world.discord.press(message, "Retry"));
    await until(() => world.api.created === 2);
    expect(world.discord.of(retry).callback?.type).toBe(5);
  });

  it("links a picture that is larger than Discord takes", async () => {
    await world.bot();
    world.api.imageBytes = new Uint8Array(11 * 1024 * 1024);
    const { message, id } = await world.imagine({ prompt: CATS });
    world.api.succeed(id);
    await world.shown(message, /larger than this place takes \(10 MiB\).*http:\/\/edge.test\/i\//s);
  });

  it("keeps flagged pictures out of channels for everybody and covers them elsewhere", async ({ expect }) => {
    await world.bot();
    const open = await world.imagine({ prompt: CATS });
    world.api.succeed(open.id, { flagged: true });
    await world.shown(open.message, /flagged as possibly unsuitable/);
    expect(open.message.attachments).toEqual([]);
    const adult = await world.imagine({ prompt: CATS }, { channel: { id: "3", nsfw: true } });
    world.api.succeed(adult.id, { flagged: true });
    await world.shown(adult.message, /Drawn in/);
    expect(adult.message.attachments[0]?.filename).toMatch(/^SPOILER_/);
  });

  it("lets a deleted message go and goes on with the next", async ({ expect }) => {
    await world.bot();
    const first = await world.imagine({ prompt: CATS });
    first.message.deleted = true;
    world.api.succeed(first.id);
    await until(() => {
      world.clock.advance(250);
      return world.logged.some(({ event }) => event === "message_lost");
    });
    await until(() => world.discord.of(first.payload).followUps.length === 1);
    expect(world.discord.of(first.payload).followUps[0]?.content).toMatch(/was deleted.*\/gallery/);
    await world.draw({ prompt: CATS });
    expect(world.api.get(first.id).status).toBe("succeeded");
  });

  it.for([
    ["nothing", []],
    ["Discord fails at first", [{ match: /callback$/, status: 502 }]],
    ["Discord limits at first", [{ match: /callback$/, status: 429, retryAfter: 0.05 }]],
  ] as const)("is acknowledged within 3 s, with the API silent: %s", async ([, faults], { expect }) => {
    await world.bot();
    world.api.mood = "hanging";
    world.discord.faults.push(...faults);
    const payload = await world.send(world.discord.command("imagine", { prompt: CATS }));
    // The double refuses an answer that comes later.
    expect(world.discord.of(payload).callback?.type).toBe(5);
    expect(world.discord.refusals).toEqual([]);
  });

  it("tells nobody and goes on when the bot was thrown out of the server", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    const refused = { match: /^PATCH \/channels/, status: 403, code: 50001 };
    world.discord.faults.push(refused, refused);
    world.clock.advance(16 * 60_000);
    world.api.succeed(id);
    await until(() => {
      world.clock.advance(250);
      return world.logged.some(({ event }) => event === "message_lost");
    });
    expect(message.attachments).toEqual([]);
    world.discord.faults.length = 0;
    await world.draw({ prompt: CATS });
  });

  it("waits out 429 and tries again after 5xx", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    world.discord.faults.push({ match: /^PATCH/, status: 429, retryAfter: 0.05 }, { match: /^PATCH/, status: 502 });
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    expect(message.attachments).toHaveLength(1);
  });

  it("connects as often as Discord recommends", async ({ expect }) => {
    await world.stop();
    world = await DiscordWorld.start({ shards: 2 });
    await world.bot();
    expect(world.server.shards.sort()).toEqual([
      [0, 2],
      [1, 2],
    ]);
    await world.draw({ prompt: CATS });
  });

  it("survives a broken stream and a lost connection", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    world.api.progress(id, 0.3);
    await world.shown(message, /30 %/);
    world.api.breakStreams();
    world.server.reconnect();
    await until(() => world.server.resumes === 1);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    const again = await world.draw({ prompt: CATS });
    expect(again.message.attachments).toHaveLength(1);
  });
});

describe("the fifteen minutes", () => {
  it("hand over to a button that brings a fresh token, where the bot is no member", async ({ expect }) => {
    await world.bot();
    const payload = await world.send(world.discord.command("imagine", { prompt: CATS }), { userInstalled: true });
    await until(() => world.api.created === 1);
    const message = world.discord.messageOf(payload);
    const { id } = world.api.last();
    world.api.progress(id, 0.2, 3_000);
    await world.shown(message, /20 %/);
    await until(() => world.logged.length === 0);
    world.clock.advance(14 * 60_000);
    await world.shown(message, /Still drawing/);
    expect(labels(message)).toEqual(["Show"]);
    world.clock.advance(20 * 60_000);
    await world.send(world.discord.press(message, "Show"), { userInstalled: true });
    await world.shown(message, /20 %/);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    expect(world.discord.refusals).toEqual([]);
  });

  it("do not matter to a member, who edits the message itself", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    world.api.progress(id, 0.2, 3_000);
    await world.shown(message, /20 %/);
    world.clock.advance(16 * 60_000);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    expect(message.edits.at(-1)?.by).toBe("bot");
  });
});
