import { afterEach, beforeEach, describe, it } from "vitest";
import { TEAM, USER } from "../fakes/slack.ts";
import { CATS } from "./sample.ts";
import { labels, SlackWorld } from "./slack-bot.ts";

let world: SlackWorld;
beforeEach(async () => {
  world = await SlackWorld.start();
});
afterEach(async () => {
  await world.stop();
});

describe("settings on Slack", () => {
  const say = (text: string, user = USER) => world.send(world.slack.command(text, { name: "/vignette", user }));

  it("let who runs the workspace limit everybody, all together and one, and nobody else", async ({ expect }) => {
    await world.bot();
    const { users } = world.slack.workspace();
    users.set("U8", { locale: "en-US", is_admin: true });
    await say("settings day 5");
    await world.whispered(/Only those who run this place/);
    await say("settings day 20 at-once 2 all 500", "U8");
    await world.whispered(/Each person: 20 pictures a day here.\nEach person: 2 at once here.\nAll together: 500/);
    await say("settings day many", "U8");
    await world.whispered(/many is not a number of pictures/);
    await say("settings block", "U8");
    await world.whispered(/Say whom/);
    await say(`settings @${USER} block`, "U8");
    await world.whispered(/This person may not draw here/);
    expect(world.api.groups.get(`slack:${TEAM}`)).toMatchObject({
      limits: { images_per_day_per_user: 20, concurrent_per_user: 2, images_per_day: 500 },
      users: { [`slack:${TEAM}:${USER}`]: { images_per_day: 0 } },
    });
    await world.send(world.slack.command(CATS));
    await world.whispered(/do not let you draw here/);
    expect(world.api.created).toBe(0);
    await say(`settings @${USER} unblock`, "U8");
    await world.whispered(/no limits of their own/);
    await world.imagine(CATS);
    await say("settings all 0", "U8");
    await world.passing(() => world.api.groups.get(`slack:${TEAM}`)?.limits.images_per_day === undefined);
    await say("quota");
    await world.whispered(/For you here today: 20 of 20 pictures left/);
  });
});

describe("what people prefer on Slack", () => {
  const vignette = async (text: string, says: RegExp, options: Parameters<typeof world.slack.command>[1] = {}) => {
    await world.send(world.slack.command(text, { name: "/vignette", ...options }));
    return world.whispered(says);
  };

  it("holds where a command says nothing, the person's own before the channel's", async ({ expect }) => {
    await world.bot();
    await vignette("prefer", /You have no defaults/);
    await vignette("prefer style cubist ratio 9:1", /not a ratio.*\nThere is no style cubist/);
    await vignette("prefer here avoid text", /Only those who run this place/);
    world.slack.workspace().users.set("U7", { locale: "en-US", is_admin: true });
    await vignette("prefer here style sketch avoid red things, text", /defaults of this channel/, { user: "U7" });
    await vignette("prefer style watercolor ratio 3:2", /--ar 3:2 --style watercolor/);
    await world.draw(CATS);
    expect(world.api.last()).toMatchObject({
      prompt: `${CATS}, a watercolor painting`,
      negative_prompt: "red things, text",
    });
    await world.draw(`${CATS} --style none --no none`);
    expect(world.api.last()).toMatchObject({ prompt: CATS, negative_prompt: null });
    await vignette("prefer reset", /You have no defaults/);
    await world.draw(CATS);
    expect(world.api.last().prompt).toBe(`${CATS}, a pencil sketch`);
  });

  it("is starred, listed and unstarred; and the service tells how it is", async ({ expect }) => {
    await world.bot();
    const { message } = await world.draw(CATS);
    await vignette("favorites", /no favorites yet/);
    await world.send(world.slack.press(message, "⭐ Favorite"));
    await world.whispered(/Among your favorites/);
    const page = await vignette("favorites", /Your favorites, newest first/);
    expect(labels(page)).toContain("Unstar");
    await world.send(world.slack.press(page, "Unstar"));
    await world.whispered(/No longer among/);
    expect(world.api.profiles.get(`slack:${TEAM}:${USER}`)?.favorites.size).toBe(0);
    await vignette("status", /Ready to draw: 1 of 1 runners/);
  });
});
