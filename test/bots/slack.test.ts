import { afterEach, beforeEach, describe, it } from "vitest";
import { recover } from "../../src/bots/slack/recover.ts";
import { APP_TOKEN, CHANNEL, TEAM, USER } from "../fakes/slack.ts";
import { labels, picturesOf, SlackWorld, saidIn, type Transport, until } from "./slack-bot.ts";

let world: SlackWorld;
beforeEach(async () => {
  world = await SlackWorld.start();
});
afterEach(async () => {
  await world.stop();
});

const CATS = "three purple cats fell asleep on the beach";

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

describe("what goes wrong on Slack", () => {
  it.for([
    ["down", /does not answer/],
    ["revoked", /VIGNETTE_API_KEY/],
    ["busy", /too much to do. Try again in 5 seconds/],
    ["quota", /used up today's pictures. There will be room again in 60 minutes/],
  ] as const)("ends in a sentence for the asker, with the wish and a way on: %s", async ([mood, text], { expect }) => {
    await world.bot();
    world.api.mood = mood;
    await world.send(world.slack.command(`${CATS} --seed 9`));
    const told = await world.whispered(text);
    expect(world.slack.shown).toEqual([told]);
    expect(saidIn(told)).toContain(CATS);
    world.api.mood = "well";
    await world.send(world.slack.press(told, "Ask again"));
    await world.passing(() => world.api.created === 1);
    expect(told.deleted).toBe(true);
    world.api.succeed(world.api.last().id);
    await world.shown(world.newest(), /Drawn in/);
    expect(world.api.last().parameters.seed).toBe(9);
    expect(world.slack.refusals).toEqual([]);
  });

  it("does not draw twice what was accepted though its answer was lost", async ({ expect }) => {
    await world.bot();
    world.api.mood = "deaf";
    await world.send(world.slack.command(CATS));
    const told = await world.whispered(/does not answer/);
    world.api.mood = "well";
    await world.send(world.slack.press(told, "Ask again"));
    await world.passing(() => world.slack.shown.some(({ to }) => to === null));
    world.api.succeed(world.api.last().id);
    await world.shown(world.newest(), /Drawn in/);
    expect(world.api.created).toBe(1);
  });

  it("keeps a private wish private when it is refused, and says no way on where there is none", async ({ expect }) => {
    await world.bot();
    world.api.mood = "busy";
    await world.send(world.slack.command(`${CATS} --private`));
    const told = await world.whispered(/too much to do/);
    expect(world.slack.shown).toEqual([told]);
    world.api.mood = "well";
    await world.send(world.slack.press(told, "Ask again"));
    await world.passing(() => world.api.created === 1);
    world.api.succeed(world.api.last().id);
    await world.whispered(/Drawn in/);
    expect(world.slack.shown.every(({ to }) => to !== null)).toBe(true);
    await world.send(world.slack.command(`${CATS} --style cubist`));
    const wrong = await world.whispered(/There is no style/);
    expect(saidIn(wrong)).toContain(CATS);
    expect(labels(wrong)).toEqual([]);
  });

  it("tells why a picture failed, with a way on", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine(CATS);
    world.api.fail(id, "Out of memory at 4096 x 4096; ask for less.");
    await world.shown(message, /could not be drawn: Out of memory/);
    expect(labels(message)).toEqual(["Retry", "Remix"]);
    await world.send(world.slack.press(message, "Retry"));
    await world.passing(() => world.api.created === 2);
  });

  it("asks to be invited before it draws anything", async ({ expect }) => {
    await world.bot();
    world.slack.workspace().channels.set("C2", { kind: "private", member: false, archived: false });
    await world.send(world.slack.command(CATS, { channel: "C2" }));
    await world.whispered(/Type \/invite/);
    const { channels, scopes } = world.slack.workspace();
    channels.set("C3", { kind: "public", member: false, archived: false });
    scopes.delete("chat:write.public");
    const told = world.slack.messages.length;
    await world.send(world.slack.command(CATS, { channel: "C3" }));
    await world.passing(() => world.slack.messages.length > told);
    expect(saidIn(world.newest())).toMatch(/Type \/invite/);
    expect(world.api.created).toBe(0);
    // A preview needs no membership, and is sent as Slack's own answer.
    const { message } = await world.draw(`${CATS} --private`, { channel: "C2" });
    await world.send(world.slack.press(message, "Send"));
    await world.passing(() => world.slack.shown.some(({ to, channel }) => to === null && channel === "C2"));
  });

  it("does not believe ok: a file that never is there is sent again, and then linked", async ({ expect }) => {
    await world.bot();
    world.slack.looks = Number.POSITIVE_INFINITY;
    const { message, id } = await world.imagine(CATS);
    world.api.succeed(id);
    await world.shown(message, /did not take the file. See it here: http:\/\/edge.test\/i\//);
    expect(world.slack.files.size).toBe(2);
    expect([...world.slack.files.values()].every(({ deleted }) => deleted)).toBe(true);
    expect(picturesOf(message)).toEqual([]);
    expect(world.slack.refusals).toEqual([]);
  });

  it("links a picture that is larger than the workspace takes", async () => {
    await world.bot();
    world.slack.faults.push({ match: /getUploadURLExternal/, error: "file_too_large" });
    const { message, id } = await world.imagine(CATS);
    world.api.succeed(id);
    await world.shown(message, /did not take the file. See it here/);
  });

  it("keeps flagged pictures out of the channel and shows them to who asks", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine(CATS);
    world.api.succeed(id, { flagged: true });
    await world.shown(message, /flagged as possibly unsuitable/);
    expect(picturesOf(message)).toEqual([]);
    await world.send(world.slack.press(message, "Show"));
    const alone = await world.whispered(/three purple cats/);
    expect(picturesOf(alone)).toHaveLength(1);
    expect(picturesOf(message)).toEqual([]);
  });

  it("tells the asker where the picture is when its message was deleted", async ({ expect }) => {
    await world.bot();
    const first = await world.imagine(CATS);
    first.message.deleted = true;
    world.api.succeed(first.id);
    const told = await world.whispered(/was deleted.*\/vignette gallery/s);
    expect(told.to).toBe(USER);
    await world.draw(CATS);
    expect(world.api.get(first.id).status).toBe("succeeded");
  });

  it("waits out 429 and tries again after 5xx", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine(CATS);
    world.slack.faults.push({ match: /chat.update/, status: 502 });
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    expect(picturesOf(message)).toHaveLength(1);
    expect(world.slack.files.size).toBe(1);
  });

  it("survives a broken stream and a connection that Slack renews", async ({ expect }) => {
    // Bolt comes back after as long as it waits for a pong.
    await world.bot("socket", { clientPingTimeout: 400 });
    const { message, id } = await world.imagine(CATS);
    world.api.progress(id, 0.3);
    await world.shown(message, /30 %/);
    world.api.breakStreams();
    world.server.refresh();
    await until(() => world.server.connections === 2);
    world.api.succeed(id);
    await world.shown(message, /Drawn in/);
    const again = await world.draw(CATS);
    expect(picturesOf(again.message)).toHaveLength(1);
  });

  it("lives on without its app token, and comes back when there is a good one again", async () => {
    await world.bot("socket", { clientPingTimeout: 100 });
    world.slack.appToken = "xapp-another";
    world.server.refresh();
    await until(() =>
      world.logged.some(({ event, error }) => event === "reconnect_failed" && error === "invalid_auth"),
    );
    world.slack.appToken = APP_TOKEN;
    await world.passing(() => world.server.connections === 2, 10_000);
    await world.draw(CATS);
  });

  it("ends quietly though it is just coming back", async ({ expect }) => {
    const { stop } = await world.bot("socket", { clientPingTimeout: 50 });
    world.server.refresh();
    await new Promise((resolve) => setTimeout(resolve, 40));
    await stop();
    expect(world.logged.filter(({ event }) => event === "reconnect_failed")).toEqual([]);
  });

  it("says that it was thrown out, and lets its jobs end", async ({ expect }) => {
    await world.bot();
    const { id } = await world.imagine(CATS);
    world.slack.workspace().token = "xoxb-of-somebody-else";
    await world.send(world.slack.command(CATS));
    await world.whispered(/An administrator has to install me again/);
    world.api.succeed(id);
    await world.passing(() => world.logged.some(({ event }) => event === "message_lost"));
    expect(world.api.created).toBe(1);
  });

  it("shows a preview that outlives its half hour when it is asked to", async ({ expect }) => {
    await world.bot();
    const { message, id } = await world.imagine(`${CATS} --private`);
    world.api.progress(id, 0.2, 3_000);
    await world.passing(() => labels(message).includes("Cancel"));
    world.clock.advance(29 * 60_000);
    await world.shown(message, /Still drawing/);
    expect(labels(message)).toEqual(["Show"]);
    world.clock.advance(20 * 60_000);
    world.api.succeed(id);
    await world.send(world.slack.press(message, "Show"));
    await world.shown(message, /Drawn in/);
    expect(picturesOf(message)).toHaveLength(1);
    expect(world.slack.refusals).toEqual([]);
  });

  it("refuses what Slack did not sign, changed or sent long ago", async ({ expect }) => {
    await world.bot("http");
    for (const headers of [
      { "X-Slack-Signature": `v0=${"0".repeat(64)}` },
      { "X-Slack-Request-Timestamp": String(Math.floor(Date.now() / 1000) - 600) },
      { "X-Slack-Signature": "" },
    ] as Record<string, string>[]) {
      const response = await world.post(world.slack.command(CATS), headers);
      expect(response.status).toBe(401);
    }
    expect(world.slack.messages).toEqual([]);
  });
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
