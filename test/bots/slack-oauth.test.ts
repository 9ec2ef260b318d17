import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { NotInstalled } from "../../src/bots/slack/deps.ts";
import { fileInstallations } from "../../src/bots/slack/file-installations.ts";
import { sealOf } from "../../src/bots/slack/seal.ts";
import { CLIENT } from "../fakes/slack.ts";
import { SlackWorld, type Transport } from "./slack-bot.ts";

const KEY = Buffer.alloc(32, 5).toString("base64");
const OTHER = { team: "T0000000002", org: null };
let world: SlackWorld;
let folder: string;
beforeEach(async () => {
  world = await SlackWorld.start();
  folder = await mkdtemp(join(tmpdir(), "vignette-slack-"));
});
afterEach(async () => {
  await world.stop();
  await rm(folder, { recursive: true });
});

/** A bot that any workspace may install. */
async function bot(transport: Transport = "http") {
  const oauth = {
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    encryptionKey: KEY,
    folder,
    authorizeUrl: world.server.authorizeUrl,
  };
  return world.bot(transport, { settings: { ...world.settings(transport), botToken: null, oauth } });
}

/** What an administrator's browser does: to the app, to Slack, and back with Slack's code. */
async function install(): Promise<Response> {
  const start = await fetch(`http://127.0.0.1:${world.port}/slack/install`, { redirect: "manual" });
  const cookie = start.headers.get("Set-Cookie")?.split(";")[0] ?? "";
  const allowed = await fetch(start.headers.get("Location") ?? "", { redirect: "manual" });
  const back = new URL(allowed.headers.get("Location") ?? "");
  return fetch(`http://127.0.0.1:${world.port}/slack/oauth_redirect${back.search}`, { headers: { cookie } });
}

describe("many workspaces", () => {
  it("install the app, draw, and are forgotten when they throw it out", async ({ expect }) => {
    const { deps } = await bot();
    expect((await install()).status).toBe(200);
    const [file] = await readdir(folder);
    expect(file).toBe("T0000000002.sealed");
    expect(await readFile(join(folder, file ?? ""), "utf8")).not.toContain("xoxb");

    const command = world.slack.command("three purple cats", { team: OTHER.team });
    await world.send(command);
    await world.passing(() => world.api.created === 1);
    expect(world.api.last().user).toBe("slack:T0000000002:U0000000042");
    expect(world.newest().team).toBe(OTHER.team);

    await world.send(world.slack.event({ type: "tokens_revoked", tokens: { oauth: ["U1"] } }, { team: OTHER.team }));
    expect(await readdir(folder)).toHaveLength(1);
    await world.send(world.slack.event({ type: "app_uninstalled" }, { team: OTHER.team }));
    await world.passing(() => world.logged.some(({ event }) => event === "uninstalled"));
    expect(await readdir(folder)).toEqual([]);
    await expect(deps.wires(OTHER)).rejects.toThrow(NotInstalled);
  });

  it("that took the bot's token back are forgotten too", async ({ expect }) => {
    await bot();
    await install();
    await world.send(
      world.slack.event({ type: "tokens_revoked", tokens: { bot: ["U0000000099"] } }, { team: OTHER.team }),
    );
    await world.passing(() => world.logged.some(({ event }) => event === "uninstalled"));
    expect(await readdir(folder)).toEqual([]);
  });

  it("that never installed it are refused, and so is a forged return", async ({ expect }) => {
    await bot();
    const response = await world.post(world.slack.command("cats"));
    expect(response.status).toBe(401);
    const forged = await fetch(
      `http://127.0.0.1:${world.port}/slack/oauth_redirect?code=${world.slack.code(OTHER.team)}&state=x`,
    );
    expect(forged.status).toBeGreaterThanOrEqual(400);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("a sealed installation", () => {
  const installation = { ...OTHER, token: "xoxb-2-secret", bot: "B1", botUser: "U1" };
  it("opens with its key, in its place and unchanged, and not otherwise", async ({ expect }) => {
    const store = fileInstallations(folder, await sealOf(KEY));
    await store.save(installation);
    expect(await store.find(OTHER)).toEqual(installation);
    expect(await store.find({ team: "T9", org: null })).toBeNull();
    const other = fileInstallations(folder, await sealOf(Buffer.alloc(32, 6).toString("base64")));
    await expect(other.find(OTHER)).rejects.toThrow();
    const seal = await sealOf(KEY);
    const sealed = await seal.close("text", "T1");
    await expect(seal.open(sealed, "T2")).rejects.toThrow();
    await expect(store.find({ team: "../T1", org: null })).rejects.toThrow();
  });

  it("of an organisation holds for each of its workspaces", async ({ expect }) => {
    const store = fileInstallations(folder, await sealOf(KEY));
    await store.save({ ...installation, team: "", org: "E1" });
    expect(await store.find({ team: "T7", org: "E1" })).toMatchObject({ org: "E1", token: installation.token });
  });
});
