import { Routes } from "discord.js";
import { afterEach, beforeEach, describe, it } from "vitest";
import { commandStore, restOf } from "../../src/bots/discord/gateway.ts";
import { register } from "../../src/bots/discord/register.ts";
import { APP_ID, BOT_TOKEN, GUILD } from "../fakes/discord.ts";
import { DiscordWorld, labels, until } from "./discord-bot.ts";
import { CATS } from "./sample.ts";

let world: DiscordWorld;
beforeEach(async () => {
  world = await DiscordWorld.start();
});
afterEach(async () => {
  await world.stop();
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
