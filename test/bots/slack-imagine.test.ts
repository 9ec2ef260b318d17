import { afterEach, beforeEach, describe, it } from "vitest";
import { CHANNEL, TEAM, USER } from "../fakes/slack.ts";
import { CATS } from "./sample.ts";
import { labels, picturesOf, SlackWorld, saidIn, type Transport, until } from "./slack-bot.ts";

let world: SlackWorld;
beforeEach(async () => {
  world = await SlackWorld.start();
});
afterEach(async () => {
  await world.stop();
});

describe.each<Transport>(["socket", "http"])("/imagine on Slack, by %s", (transport) => {
  it("turns a sentence into a picture with words for those who do not see it", async ({ expect }) => {
    await world.bot(transport);
    const { message, id } = await world.draw(`${CATS} --seed 7 --ar 3:2`);
    expect(world.api.get(id)).toMatchObject({
      prompt: CATS,
      user: "slack:T0000000001:U0000000042",
      parameters: { seed: 7 },
      metadata: { chat: "slack", place: TEAM, channel: CHANNEL, message: message.ts },
    });
    expect(saidIn(message)).toContain(CATS);
    const [picture] = picturesOf(message);
    expect(picture?.alt).toContain(CATS);
    expect(world.slack.files.get(picture?.file ?? "")).toMatchObject({ bytes: 12, completed: true });
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
    expect(world.slack.messages).toHaveLength(1);
    expect(world.slack.refusals).toEqual([]);
    await world.send(world.slack.press(message, "Reroll"));
    await world.passing(() => world.api.created === 2);
    expect(world.api.last()).toMatchObject({ prompt: CATS, metadata: { parent: id } });
  });

  it("answers fifty people at once while the API hangs", async ({ expect }) => {
    await world.bot(transport);
    world.api.mood = "hanging";
    const sent = Array.from({ length: 50 }, () => world.slack.command(CATS));
    await Promise.all(sent.map((delivery) => world.send(delivery)));
    for (const { ackedAt, at } of sent) expect((ackedAt ?? Number.POSITIVE_INFINITY) - at).toBeLessThan(3_000);
    expect(world.api.created).toBe(0);
    world.api.release();
    await world.passing(() => world.api.created === 50);
  });
});

describe("progress on Slack", () => {
  it("is shown with restraint, and the last state always", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine(CATS);
    for (let step = 1; step <= 40; step++) {
      world.api.progress(id, step / 41);
      world.clock.advance(250);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await world.shown(message, /▰/);
    expect(labels(message)).toEqual(["Cancel"]);
    expect(saidIn(message)).toMatch(/ready in \d+ s/);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    const times = message.edits.slice(1).map(({ at }) => at);
    for (const [i, at] of times.entries()) if (i > 0) expect(at - (times[i - 1] ?? 0)).toBeGreaterThanOrEqual(3_000);
    expect(times.length).toBeLessThanOrEqual(6);
  });

  it("of what is quick is not shown", async ({ expect }) => {
    await world.bot();
    const { message } = await world.draw(CATS);
    expect(message.edits).toHaveLength(2);
  });

  it("of twenty pictures in one channel is not refused once", async ({ expect }) => {
    await world.bot();
    const sent = Array.from({ length: 20 }, (_, i) => world.slack.command(`${CATS} ${i}`));
    await Promise.all(sent.map((delivery) => world.send(delivery)));
    await world.passing(() => world.api.created === 20);
    const ids = [...world.api.generations.keys()];
    for (let step = 1; step < 30; step++) {
      for (const id of ids) world.api.progress(id, step / 30);
      world.clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const id of ids) world.api.succeed(id);
    for (const message of world.slack.messages) await world.shown(message, /Drawn in/);
    expect(world.slack.messages).toHaveLength(20);
    expect(world.slack.limited).toBe(0);
    expect(world.slack.refusals).toEqual([]);
  });

  it("speaks the person's language", async ({ expect }) => {
    world.slack.workspace().users.set(USER, { locale: "de-DE", is_admin: false });
    await world.bot();
    const { message, id } = await world.imagine(CATS);
    world.api.progress(id, 0.5);
    await world.shown(message, /Wird gezeichnet/);
    expect(labels(message)).toEqual(["Abbrechen"]);
  });
});

describe("asking on Slack", () => {
  it("tells every mistake at once, to the one who made it, and asks the API nothing", async ({ expect }) => {
    await world.bot();
    await world.send(world.slack.command("cat --bananas 3 --seed x"));
    const told = await world.whispered(/There is no flag/);
    expect(told.to).toBe(USER);
    expect(saidIn(told)).toContain("is not a seed");
    expect(world.api.created).toBe(0);
    expect(world.slack.messages).toHaveLength(1);
  });

  it("shows a preview to one person, who shuffles it, and sends it or puts it away", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.draw(`${CATS} --private`);
    expect(message.to).toBe(USER);
    expect(labels(message).slice(0, 3)).toEqual(["Send", "Shuffle", "Cancel"]);
    expect(picturesOf(message)).toHaveLength(1);
    await world.send(world.slack.press(message, "Shuffle"));
    await world.passing(() => world.api.created === 2);
    const second = world.api.last();
    expect(second.metadata).toMatchObject({ parent: id, how: "shuffle" });
    world.api.succeed(second.id);
    await world.shown(message, /Drawn in/);
    expect(world.slack.shown).toEqual([message]);
    await world.send(world.slack.press(message, "Send"));
    await world.passing(() => message.deleted);
    const [sent, ...others] = world.slack.shown;
    expect(others).toEqual([]);
    expect(sent).toMatchObject({ to: null, channel: CHANNEL });
    expect(picturesOf(sent ?? message)).toHaveLength(1);
    expect(labels(sent ?? message)).toContain("Reroll");

    const other = await world.draw(`${CATS} --private`);
    await world.send(world.slack.press(other.message, "Cancel"));
    await world.passing(() => other.message.deleted);
    expect(world.api.get(other.id).status).toBe("succeeded");
  });

  it("draws in a thread when it is mentioned there, once though Slack says it twice", async ({ expect }) => {
    await world.bot();
    const first = world.slack.mention(`${CATS} --seed 3`, { thread: "1690000000.000100", id: "Ev1" });
    await world.send(first);
    await world.passing(() => world.api.created === 1);
    const again = world.slack.mention(`${CATS} --seed 3`, { thread: "1690000000.000100", id: "Ev1" });
    world.server.dispatch(again, { attempt: 1, reason: "timeout" });
    await until(() => again.ackedAt !== null);
    world.api.succeed(world.api.last().id);
    const message = world.newest();
    await world.shown(message, /Drawn in/);
    expect(message.thread).toBe("1690000000.000100");
    expect(world.slack.messages).toHaveLength(1);
    expect(world.api.last()).toMatchObject({ prompt: CATS, parameters: { seed: 3 } });
  });

  it("imagines somebody's message, without Slack's escapes, in its thread", async ({ expect }) => {
    await world.bot();
    await world.send(
      world.slack.shortcut("imagine_this", "a <@U7|fox> &amp; <https://x.test|a hen> &lt;3 in <#C1|den>"),
    );
    await world.passing(() => world.api.created === 1);
    expect(world.api.last().prompt).toBe("a fox & a hen <3 in den");
    expect(world.newest().thread).toBe("1700000000.000100");
  });

  it("shows everybody their own pictures and what is left on Home", async ({ expect }) => {
    await world.bot();
    await world.draw(CATS);
    const open = () => world.slack.event({ type: "app_home_opened", user: USER, channel: "D1", tab: "home" });
    const home = () => world.slack.workspace().homes.get(USER) as { blocks: Record<string, unknown>[] } | undefined;
    await world.send(open());
    await world.passing(() => home() !== undefined);
    expect(saidIn(home() ?? { blocks: [] })).toMatch(/99 of 100 pictures left[\s\S]*three purple cats/);
    await world.send(world.slack.pressHome("Details"));
    await world.passing(() =>
      [...world.slack.views.values()].some((view) => /purple cat 90 %/.test(JSON.stringify(view))),
    );
    await world.send(world.slack.pressHome("Delete"));
    await world.passing(() => /no pictures yet/.test(saidIn(home() ?? { blocks: [] })));
    expect(world.api.generations.size).toBe(0);
    world.api.mood = "down";
    await world.send(open());
    await world.passing(() => /does not answer/.test(saidIn(home() ?? { blocks: [] })));
  });

  it("pages through one's own pictures, shows one, tells what is left, and forgets them all", async ({ expect }) => {
    await world.bot();
    const first = await world.draw("an alpha fox");
    await world.draw("an omega fox");
    const say = (text: string) => world.send(world.slack.command(text, { name: "/vignette" }));
    await say("gallery");
    const page = await world.whispered(/omega/);
    await world.send(world.slack.press(page, "Next"));
    await world.shown(page, /alpha/);
    expect(labels(page)).not.toContain("Next");
    const posted = world.slack.messages.length;
    await say(`show ${first.id}`);
    await world.passing(() => world.slack.messages.length > posted);
    expect(world.newest()).toMatchObject({ to: null });
    expect(saidIn(world.newest())).toContain("alpha");
    await say("quota");
    await world.whispered(/98 of 100 pictures left/);
    await say("");
    await world.whispered(/Say \/imagine and a sentence/);
    await say("privacy");
    const privacy = await world.whispered(/Kept of each picture/);
    await world.send(world.slack.press(privacy, "Delete everything"));
    await world.whispered(/Deleted: 2 pictures/);
    expect(world.api.generations.size).toBe(0);
  });
});
