import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DiscordServer } from "../bots/discord-server.ts";
import { DISCORD_PUBLIC_KEY, signAsDiscord } from "../fakes/chat-keys.ts";
import { APP_ID, BOT_TOKEN, type FakeMessage } from "../fakes/discord.ts";
import { type Instance, Place, until } from "./launch.ts";

const PROMPT = "three purple cats fell asleep on the beach";

/** `/imagine` at a running Vignette, each picture really drawn, by both ways that Discord reaches a bot. */
describe("/imagine on Discord with a running Vignette", { timeout: 600_000 }, () => {
  let place: Place;
  let server: DiscordServer;

  before(async () => {
    place = await Place.create();
    server = await DiscordServer.start(() => Date.now());
  });
  after(async () => {
    await place?.leave();
    await server?.stop();
  });

  async function start(env: Record<string, string>): Promise<Instance> {
    return (await place.start({ DISCORD_API_URL: server.apiUrl, ...env })).instance;
  }

  /** The message becomes a picture whose buttons draw another one. */
  async function imagines(send: (fields: Record<string, unknown>) => Promise<FakeMessage>): Promise<void> {
    const { discord } = server;
    const message = await send(discord.command("imagine", { prompt: `${PROMPT} --seed 23` }));
    await shown(message);
    assert.match(message.content, /three purple cats fell asleep on the beach/);
    assert.ok((message.attachments[0]?.bytes ?? 0) > 1000, "a picture, not a placeholder");
    assert.match(message.attachments[0]?.description ?? "", /purple cats/);
    const again = await send(discord.press(message, "Reroll"));
    await shown(again);
    assert.notEqual(again.id, message.id);
    // Over HTTP the message comes into being when Discord has read the answer: asking for it may come first.
    assert.deepEqual(
      discord.refusals.filter((line) => !line.startsWith("10015")),
      [],
    );
    assert.equal(discord.limited, 0);
  }
  const shown = (message: FakeMessage) => until(async () => message.attachments.length > 0);

  let key = "";
  it("through the gateway, by the bot that `npm start` runs beside it", async () => {
    ({ api_key: key } = await start({ DISCORD_TOKEN: BOT_TOKEN, DISCORD_APP_ID: APP_ID }));
    await until(async () => server.identifies > 0);
    await imagines(async (fields) => {
      const payload = server.discord.interaction(fields);
      server.dispatch(payload);
      await until(async () => server.discord.of(payload).message !== null);
      return server.discord.messageOf(payload);
    });
    await place.stop();
  });

  it("over HTTP, answered by the edge itself", async () => {
    const { url } = await start({ DISCORD_PUBLIC_KEY, CHAT_API_KEY: key });
    await imagines(async (fields) => {
      const payload = server.discord.interaction(fields);
      const body = JSON.stringify(payload);
      const headers = await signAsDiscord(body, Date.now());
      const response = await fetch(`${url}/discord/interactions`, { method: "POST", body, headers });
      assert.equal(response.status, 200);
      server.discord.acknowledge(String(payload.token), (await response.json()) as { type: number });
      return server.discord.messageOf(payload);
    });
  });
});
