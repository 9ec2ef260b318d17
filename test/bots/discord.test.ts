import { Routes } from "discord.js";
import { afterEach, beforeEach, describe, it } from "vitest";
import { commandStore, restOf } from "../../src/bots/discord/gateway.ts";
import { recover } from "../../src/bots/discord/recover.ts";
import { register } from "../../src/bots/discord/register.ts";
import { APP_ID, BOT_TOKEN, GUILD } from "../fakes/discord.ts";
import { DiscordWorld, until } from "./discord-bot.ts";

let world: DiscordWorld;
beforeEach(async () => {
  world = await DiscordWorld.start();
});
afterEach(async () => {
  await world.stop();
});

const CATS = "three purple cats fell asleep on the beach";
const labels = (message: { components: { components: { label: string }[] }[] }) =>
  message.components.flatMap((row) => row.components.map(({ label }) => label));

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

describe("buttons", () => {
  it("draw again, vary, and tell how the prompt was read", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.draw({ prompt: CATS });
    for (const label of ["Reroll", "Vary 1"]) {
      const before = world.api.created;
      await world.send(world.discord.press(message, label));
      await until(() => world.api.created > before);
      expect(world.api.last()).toMatchObject({ prompt: CATS, metadata: { parent: id } });
    }
    const details = await world.send(world.discord.press(message, "Details"));
    await world.shown(world.discord.messageOf(details), /How I read your prompt.*purple cat 90 %/s);
    expect(world.discord.messageOf(details).flags & 64).toBe(64);
  });

  it("open a form with the sentence in it, even while the API hangs", async ({ expect }) => {
    await world.bot();
    const { message } = await world.draw({ prompt: CATS });
    const opened = await world.send(world.discord.press(message, "Same seed"));
    const modal = world.discord.of(opened).callback ?? { type: 0 };
    expect(modal.type).toBe(9);
    expect(JSON.stringify(modal)).toContain(CATS);
    expect(JSON.stringify(modal)).toContain("1234");
    const submit = {
      type: 5,
      data: {
        custom_id: (modal.data as { custom_id: string }).custom_id,
        components: [
          { type: 18, component: { type: 4, custom_id: "prompt", value: "a red dragon" } },
          { type: 18, component: { type: 4, custom_id: "seed", value: "1234" } },
        ],
      },
      message: { id: message.id, content: message.content, flags: 0 },
    };
    await world.send(submit);
    await until(() => world.api.created === 2);
    expect(world.api.last()).toMatchObject({ prompt: "a red dragon", parameters: { seed: 1234 } });
    world.api.mood = "hanging";
    const payload = world.discord.interaction(world.discord.press(message, "Remix"));
    world.server.dispatch(payload);
    await until(() => {
      world.clock.advance(100);
      return world.discord.of(payload).ackedAt !== null;
    });
    expect(JSON.stringify(world.discord.of(payload).callback)).toContain(CATS);
  });

  it("cancel and delete for who asked and who moderates, and for nobody else", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    world.api.progress(id, 0.1);
    await world.shown(message, /10 %/);
    const other = { guild_id: "200000000000000001", member: { user: { id: "7" }, roles: [], permissions: "0" } };
    const denied = await world.send({ ...world.discord.press(message, "Cancel"), ...other });
    await until(() => world.discord.of(denied).followUps.length === 1);
    expect(world.discord.of(denied).followUps[0]?.content).toContain("Only the person");
    expect(world.api.get(id).status).toBe("running");
    const moderator = { ...other, member: { ...other.member, permissions: String(1n << 13n) } };
    await world.send({ ...world.discord.press(message, "Cancel"), ...moderator });
    await world.shown(message, /Canceled/);
    const drawn = await world.draw({ prompt: CATS });
    await world.send(world.discord.press(drawn.message, "Delete"));
    await until(() => drawn.message.deleted);
    expect(world.api.generations.has(drawn.id)).toBe(false);
  });

  it("work after a restart, and progress goes on", async ({ expect }) => {
    const first = await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    world.api.progress(id, 0.3);
    await world.shown(message, /30 %/);
    await first.gateway.stop();
    const lost = world.api.last().id;
    world.api.progress(lost, 0.6);
    const second = await world.bot();
    const recovered = recover(second.deps, APP_ID);
    await world.shown(message, /60 %/);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    await recovered;
    const edits = message.edits.length;
    await recover(second.deps, APP_ID);
    expect(message.edits.length).toBe(edits);
    await world.send(world.discord.press(message, "Reroll"));
    await until(() => world.api.created === 2);
  });

  it("of a picture that ended while nobody looked are there after a restart", async ({ expect }) => {
    const first = await world.bot();
    const { message, id } = await world.imagine({ prompt: CATS });
    await first.gateway.stop();
    world.api.succeed(id);
    const second = await world.bot();
    await recover(second.deps, APP_ID);
    expect(message.content).toContain("Drawn in");
    expect(message.attachments).toHaveLength(1);
  });

  it("keep what somebody meant once they agree", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.draw({ prompt: CATS });
    const asked = await world.send(world.discord.press(message, "That's what I meant"));
    const consent = world.discord.messageOf(asked);
    await world.shown(consent, /Nothing is kept unless/);
    expect(consent.flags & 64).toBe(64);
    expect(world.api.feedback.size).toBe(0);
    const kept = await world.send(world.discord.press(consent, "Keep it"));
    await world.shown(world.discord.messageOf(kept), /Kept, thank you/);
    expect(world.api.feedback.get(id)).toMatchObject({ verdict: "meant", consent: true, user: "discord:42" });
    const again = await world.send(world.discord.press(message, "Not what I meant"));
    await world.shown(world.discord.messageOf(again), /Remix lets you say it differently/);
    expect(world.api.feedback.get(id)).toMatchObject({ verdict: "not_meant" });
    const other = { guild_id: GUILD, member: { user: { id: "7" }, roles: [], permissions: "0" } };
    const denied = await world.send({ ...world.discord.press(message, "That's what I meant"), ...other });
    await world.shown(world.discord.messageOf(denied), /Only the person/);
  });

  it("ask again for what a bot died over, which draws it once, and only for who asked", async ({ expect }) => {
    await world.bot();
    world.api.mood = "hanging";
    const payload = await world.send(world.discord.command("imagine", { prompt: `${CATS} --seed 9`, avoid: "dogs" }));
    const message = world.discord.messageOf(payload);
    await world.shown(message, /In line/);
    expect(message.content).toContain(`${CATS} --seed 9 --no dogs`);
    expect(labels(message)).toEqual(["Ask again"]);
    const other = { guild_id: GUILD, member: { user: { id: "7" }, roles: [], permissions: "0" } };
    const denied = await world.send({ ...world.discord.press(message, "Ask again"), ...other });
    expect(world.discord.messageOf(denied).content).toContain("Only the person");
    await world.send(world.discord.press(message, "Ask again"));
    world.api.release();
    await until(() => world.api.created === 1);
    world.api.succeed(world.api.last().id);
    await world.shown(message, /Drawn in/);
    expect(world.api.created).toBe(1);
    expect(world.api.last()).toMatchObject({ parameters: { seed: 9 }, negative_prompt: "dogs" });
    expect(message.attachments).toHaveLength(1);
  });

  it("of an unknown version say so", async ({ expect }) => {
    await world.bot();
    const payload = await world.send({ type: 3, data: { custom_id: "vg9:x" }, message: { id: "1" } });
    expect(world.discord.messageOf(payload).content).toContain("older version");
  });
});

describe("the other commands", () => {
  it("page through one's own pictures, show one, and forget them all", async ({ expect }) => {
    await world.bot();
    const first = await world.draw({ prompt: "an alpha fox" });
    await world.draw({ prompt: "an omega fox" });
    const gallery = await world.send(world.discord.command("gallery"));
    const page = world.discord.messageOf(gallery);
    await world.shown(page, /omega/);
    await world.send(world.discord.press(page, "Next"));
    await world.shown(page, /alpha/);
    expect(labels(page)).not.toContain("Next");
    const shown = await world.send(world.discord.command("show", { id: first.id }));
    await world.shown(world.discord.messageOf(shown), /alpha/);
    const privacy = await world.send(world.discord.command("privacy"));
    const pressed = await world.send(world.discord.press(world.discord.messageOf(privacy), "Delete everything"));
    await until(() => world.discord.of(pressed).followUps.length === 1);
    expect(world.discord.of(pressed).followUps[0]?.content).toContain("Deleted: 2 pictures");
    expect(world.api.generations.size).toBe(0);
  });

  it("tell what is left, and suggest what fits", async ({ expect }) => {
    await world.bot();
    await world.draw({ prompt: CATS });
    const quota = await world.send(world.discord.command("quota"));
    await world.shown(world.discord.messageOf(quota), /99 of 100 pictures left/);
    const typed = (name: string, value: string) => ({
      type: 4,
      data: { id: "1", name: "imagine", type: 1, options: [{ name, type: 3, value, focused: true }] },
    });
    for (const [name, value, found] of [
      ["ratio", "16", "16:9"],
      ["style", "water", "watercolor"],
      ["prompt", "purple", CATS],
    ] as const) {
      const asked = await world.send(typed(name, value));
      expect(world.discord.of(asked).callback?.data?.choices).toEqual([{ name: found, value: found }]);
    }
  });

  it("let who runs the server limit everybody, all together and one, and nobody else", async ({ expect }) => {
    await world.bot();
    const member = (permissions: bigint) => ({
      guild_id: GUILD,
      member: { user: { id: "42" }, roles: [], permissions: String(permissions) },
    });
    const set = async (options: Record<string, unknown>, permissions = 1n << 5n) => {
      const sent = await world.send(world.discord.command("settings", options, member(permissions)));
      return world.discord.messageOf(sent);
    };
    await world.shown(await set({ day: 5 }, 0n), /Only those who run this place/);
    await world.shown(await set({}), /No limits are set here/);
    const holds = await set({ day: 20, at_once: 2, all: 500 });
    await world.shown(holds, /Each person: 20 pictures a day here.\nEach person: 2 at once here.\nAll together: 500/);
    expect(holds.flags & 64).toBe(64);
    await world.shown(await set({ block: true }), /Say whom/);
    await world.shown(await set({ person: "42", block: true }), /may not draw here/);
    const denied = await world.send(world.discord.command("imagine", { prompt: CATS }));
    expect((await world.whispered(denied, /do not let you draw here/)).components).toEqual([]);
    expect(world.api.created).toBe(0);
    await world.shown(await set({ person: "42", block: false }), /no limits of their own/);
    await world.imagine({ prompt: CATS });
    await world.shown(await set({ all: 0 }, 1n << 3n), /Each person: 20/);
    expect(world.api.groups.get(`discord:${GUILD}`)?.limits.images_per_day).toBeUndefined();
    const quota = await world.send(world.discord.command("quota"));
    await world.shown(world.discord.messageOf(quota), /For you here today: 20 of 20/);
    const alone = await world.send(world.discord.command("settings"), { dm: true });
    await world.shown(world.discord.messageOf(alone), /nothing to set in direct messages/);
  });

  it("imagine a message and tell the details of a picture", async ({ expect }) => {
    await world.bot();
    const menu = (name: string, target: object) => ({
      type: 2,
      data: { id: "1", name, type: 3, target_id: "5", resolved: { messages: { "5": target } } },
    });
    await world.send(menu("Imagine this", { id: "5", content: "a red dragon" }));
    await until(() => world.api.created === 1);
    expect(world.api.last().prompt).toBe("a red dragon");
    const { message } = await world.draw({ prompt: CATS });
    const details = await world.send(menu("Details", { ...message }));
    await world.shown(world.discord.messageOf(details), /How I read/);
  });

  it("remember what a person and a channel prefer, the person's own first", async ({ expect }) => {
    await world.bot();
    const manager = { guild_id: GUILD, member: { user: { id: "7" }, roles: [], permissions: String(1n << 5n) } };
    const ask = async (options: Record<string, unknown>, more: Record<string, unknown> = {}) =>
      world.discord.messageOf(await world.send(world.discord.command("prefer", options, more)));
    await world.shown(await ask({}), /You have no defaults/);
    await world.shown(await ask({ style: "cubist", ratio: "9:1" }), /not a ratio.*\nThere is no style cubist/);
    await world.shown(await ask({ avoid: "text", channel: true }), /Only those who run this place/);
    await world.shown(
      await ask({ avoid: "text", style: "sketch", channel: true }, manager),
      /defaults of this channel/,
    );
    await world.shown(await ask({ style: "watercolor", ratio: "3:2" }), /--ar 3:2 --style watercolor/);
    await world.draw({ prompt: CATS });
    expect(world.api.last()).toMatchObject({ prompt: `${CATS}, a watercolor painting`, negative_prompt: "text" });
    const { width, height } = world.api.last().parameters;
    expect(width / height).toBeGreaterThan(1.2);
    // What is said goes first; none leaves a default out.
    await world.draw({ prompt: `${CATS} --style none --ar 1:1 --no none` });
    expect(world.api.last()).toMatchObject({ prompt: CATS, negative_prompt: null });
    await world.shown(await ask({ reset: true }), /You have no defaults/);
    await world.draw({ prompt: CATS });
    expect(world.api.last().prompt).toBe(`${CATS}, a pencil sketch`);
    const alone = await world.send(world.discord.command("prefer", { channel: true }), { dm: true });
    await world.shown(world.discord.messageOf(alone), /nothing to set in direct messages/);
  });

  it("keep favorites, somebody else's too, until they are unstarred or forgotten", async ({ expect }) => {
    await world.bot();
    const first = await world.draw({ prompt: `${CATS} 1` });
    const other = { guild_id: GUILD, member: { user: { id: "7" }, roles: [], permissions: "0" } };
    const second = await world.draw({ prompt: `${CATS} 2` }, other);
    const shelf = async () =>
      world.discord.messageOf(await world.send(world.discord.command("gallery", { favorites: true })));
    await world.shown(await shelf(), /no favorites yet/);
    for (const { message } of [first, second]) {
      const starred = await world.send(world.discord.press(message, "⭐ Favorite"));
      await world.shown(world.discord.messageOf(starred), /Among your favorites/);
      expect(world.discord.messageOf(starred).flags & 64).toBe(64);
    }
    const page = await shelf();
    await world.shown(page, /cats.* 2`\nYour favorites/);
    await world.send(world.discord.press(page, "Next"));
    await world.shown(page, /cats.* 1`\nYour favorites/);
    expect(labels(page)).not.toContain("Next");
    const gone = await world.send(world.discord.press(page, "Unstar"));
    await world.shown(world.discord.messageOf(gone), /No longer/);
    await world.shown(await shelf(), /cats.* 2`/);
    const privacy = await world.send(world.discord.command("privacy"));
    await world.send(world.discord.press(world.discord.messageOf(privacy), "Delete everything"));
    await until(() => !world.api.profiles.has("discord:42"));
    await world.shown(await shelf(), /no favorites yet/);
  });

  it("tell whether pictures can be drawn", async () => {
    await world.bot();
    const ask = async () => world.discord.messageOf(await world.send(world.discord.command("status")));
    await world.shown(await ask(), /Ready to draw: 1 of 1 runners, answered in \d+ ms. Models: miniature/);
    world.api.mood = "busy";
    await world.shown(await ask(), /Nothing can be drawn just now: The runner one does not answer/);
    world.api.mood = "down";
    await world.shown(await ask(), /does not answer/);
  });

  it("are written only when they differ", async ({ expect }) => {
    const rest = restOf({ token: BOT_TOKEN, apiUrl: world.server.apiUrl });
    const store = commandStore(rest, APP_ID);
    expect((await register(store)).changed).toHaveLength(10);
    expect(await register(store)).toEqual({ changed: [], removed: [] });
    expect(world.discord.commandWrites).toBe(1);
    await rest.put(Routes.applicationCommands(APP_ID), {
      body: [{ type: 1, name: "old", description: "An older command." }],
    });
    expect(await register(store)).toMatchObject({ removed: ["old"] });
    expect(world.discord.commandWrites).toBe(3);
  });
});
