import { afterEach, beforeEach, describe, it } from "vitest";
import { recover } from "../../src/bots/slack/recover.ts";
import { TEAM, USER } from "../fakes/slack.ts";
import { CATS } from "./sample.ts";
import { labels, SlackWorld, saidIn, until } from "./slack-bot.ts";

let world: SlackWorld;
beforeEach(async () => {
  world = await SlackWorld.start();
});
afterEach(async () => {
  await world.stop();
});

describe("buttons on Slack", () => {
  it("draw again, vary, and tell how the prompt was read", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.draw(CATS);
    for (const label of ["Reroll", "Vary 1"]) {
      const before = world.api.created;
      await world.send(world.slack.press(message, label));
      await world.passing(() => world.api.created > before);
      expect(world.api.last()).toMatchObject({ prompt: CATS, metadata: { parent: id } });
    }
    await world.send(world.slack.press(message, "Details"));
    const details = await world.whispered(/How I read your prompt\n.*purple cat 90 %/s);
    expect(details.to).toBe(USER);
  });

  it("open a form with the sentence in it, even while the API hangs, and say in it what is wrong", async ({
    expect,
  }) => {
    await world.bot();
    const { message } = await world.draw(CATS);
    const form = async (label: string) => {
      const known = new Set(world.slack.views.keys());
      await world.send(world.slack.press(message, label));
      const fresh = () => [...world.slack.views.keys()].find((id) => !known.has(id));
      await until(() => {
        world.clock.advance(50);
        return fresh() !== undefined;
      });
      return fresh() ?? "";
    };
    const opened = await form("Same seed");
    expect(JSON.stringify(world.slack.views.get(opened))).toContain(CATS);
    expect(JSON.stringify(world.slack.views.get(opened))).toContain("1234");
    const wrong = await world.send(world.slack.submit(opened, { prompt: "a fox --x", avoid: "", seed: "many" }));
    expect(wrong.ack).toMatchObject({
      response_action: "errors",
      errors: { prompt: expect.stringContaining("There is no flag"), seed: expect.stringContaining("is not a seed") },
    });
    await world.send(world.slack.submit(await form("Same seed"), { prompt: "a red dragon", seed: "1234" }));
    await world.passing(() => world.api.created === 2);
    expect(world.api.last()).toMatchObject({ prompt: "a red dragon", parameters: { seed: 1234 } });
    world.api.mood = "hanging";
    expect(JSON.stringify(world.slack.views.get(await form("Remix")))).toContain(CATS);
  });

  it("cancel and delete for who asked and who runs the workspace, and for nobody else", async ({ expect }) => {
    await world.bot();
    const { users } = world.slack.workspace();
    users.set("U7", { locale: "en-US", is_admin: false }).set("U8", { locale: "en-US", is_admin: true });
    const { message, id } = await world.imagine(CATS);
    world.api.progress(id, 0.1);
    await world.shown(message, /10 %/);
    await world.send(world.slack.press(message, "Cancel", { user: "U7" }));
    expect((await world.whispered(/Only the person/)).to).toBe("U7");
    expect(world.api.get(id).status).toBe("running");
    await world.send(world.slack.press(message, "Cancel", { user: "U8" }));
    await world.shown(message, /Canceled/);
    const drawn = await world.draw(CATS);
    await world.send(world.slack.press(drawn.message, "Delete"));
    await world.passing(() => drawn.message.deleted);
    expect(world.api.generations.has(drawn.id)).toBe(false);
  });

  it("work after a restart, and progress goes on", async ({ expect }) => {
    const first = await world.bot();
    const { message, id } = await world.imagine(CATS);
    world.api.progress(id, 0.3);
    await world.shown(message, /30 %/);
    await first.stop();
    world.api.progress(id, 0.6);
    const second = await world.bot();
    const recovered = recover(second.deps);
    await world.shown(message, /60 %/);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    await recovered;
    const edits = message.edits.length;
    await recover(second.deps);
    expect(message.edits.length).toBe(edits);
    expect(world.slack.messages).toHaveLength(1);
    await world.send(world.slack.press(message, "Reroll"));
    await world.passing(() => world.api.created === 2);
  });

  it("keep what somebody meant once they agree, with the sentence it began with", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.draw(CATS);
    await world.send(world.slack.press(message, "Not what I meant", { user: "U7" }));
    world.slack.workspace().users.set("U7", { locale: "en-US", is_admin: false });
    await world.passing(() => world.slack.shown.some(({ to }) => to === "U7"));
    expect(saidIn(world.newest())).toMatch(/Only the person/);
    await world.send(world.slack.press(message, "Not what I meant"));
    const asked = await world.whispered(/Nothing is kept unless/);
    expect(world.api.feedback.size).toBe(0);
    await world.send(world.slack.press(asked, "Keep it"));
    await world.whispered(/Remix lets you say it differently/);
    expect(world.api.feedback.get(id)).toMatchObject({
      verdict: "not_meant",
      consent: true,
      user: `slack:${TEAM}:${USER}`,
    });
    // Who agreed once is not asked again; the edited sentence is kept with the first.
    await world.send(world.slack.press(message, "Remix"));
    await world.passing(() => world.slack.views.size === 1);
    const [view = ""] = world.slack.views.keys();
    await world.send(world.slack.submit(view, { prompt: "3cat, purple cat, sleeping, beach background" }));
    await world.passing(() => world.api.created === 2);
    const again = world.newest();
    world.api.succeed(world.api.last().id);
    await world.shown(again, /Drawn in/);
    await world.send(world.slack.press(again, "That's what I meant"));
    await world.whispered(/Kept, thank you. Deleting/);
    expect(world.api.feedback.get(world.api.last().id)).toMatchObject({
      verdict: "meant",
      narrative: CATS,
      changed_into: "3cat, purple cat, sleeping, beach background",
    });
  });

  it("ask again for what a bot died over, which draws it once", async ({ expect }) => {
    await world.bot();
    world.api.mood = "hanging";
    await world.send(world.slack.command(`${CATS} --seed 9`));
    await world.passing(() => world.slack.messages.length === 1);
    const message = world.newest();
    expect(labels(message)).toEqual(["Ask again"]);
    await world.send(world.slack.press(message, "Ask again"));
    world.api.release();
    await world.passing(() => world.api.created === 1);
    world.api.succeed(world.api.last().id);
    await world.shown(message, /Drawn in/);
    expect(world.api.created).toBe(1);
    expect(world.api.last().parameters.seed).toBe(9);
    expect(world.slack.messages).toHaveLength(1);
  });

  it("of an unknown version say so", async () => {
    await world.bot();
    const { message } = await world.draw(CATS);
    const press = world.slack.press(message, "Reroll");
    (press.payload.actions as { action_id: string }[])[0] = { action_id: "vg9:x" };
    await world.send(press);
    await world.whispered(/older version/);
  });
});
