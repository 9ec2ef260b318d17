import { afterEach, beforeEach, describe, it } from "vitest";
import { APP_TOKEN, USER } from "../fakes/slack.ts";
import { CATS } from "./sample.ts";
import { labels, picturesOf, SlackWorld, saidIn, until } from "./slack-bot.ts";

let world: SlackWorld;
beforeEach(async () => {
  world = await SlackWorld.start();
});
afterEach(async () => {
  await world.stop();
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
