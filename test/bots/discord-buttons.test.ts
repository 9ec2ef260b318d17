import { afterEach, beforeEach, describe, it } from "vitest";
import { recover } from "../../src/bots/discord/recover.ts";
import { APP_ID, GUILD } from "../fakes/discord.ts";
import { DiscordWorld, labels, until } from "./discord-bot.ts";
import { CATS } from "./sample.ts";

let world: DiscordWorld;
beforeEach(async () => {
  world = await DiscordWorld.start();
});
afterEach(async () => {
  await world.stop();
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
