import type { OpenAPIHono } from "@hono/zod-openapi";
import { answer } from "../../bots/discord/handler.ts";
import type { Interaction } from "../../bots/discord/payload.ts";
import { isFromDiscord } from "../../bots/discord/verify.ts";
import { discordDeps, start } from "../chat/discord.ts";
import { readChatSettings } from "../chat/settings.ts";
import type { AppEnv } from "../context.ts";
import { onNotFound } from "../problems.ts";
import { readBody } from "../read-body.ts";
import { Refusal } from "../refusal.ts";

const MAX_INTERACTION_BYTES = 1024 * 1024;

/** Discord's interactions over HTTP, where the application's public key is set; no part of the public description. */
export function registerDiscord(app: OpenAPIHono<AppEnv>): void {
  app.post("/discord/interactions", async (c) => {
    const settings = readChatSettings(c.env);
    if (!settings?.discord) return onNotFound(c);
    const body = await readBody(c.req.raw, MAX_INTERACTION_BYTES);
    const known = await isFromDiscord(settings.discord.publicKey, c.req.raw.headers, body, c.get("deps").now());
    if (!known) throw new Refusal("signature_invalid", "The signature is not Discord's for this application.");
    const sent = JSON.parse(new TextDecoder().decode(body)) as Interaction;
    const interaction: Interaction = { ...sent, arrived: c.get("deps").now() };
    const call = (request: Request) => app.fetch(request, c.env, c.executionCtx);
    const deps = discordDeps(c.env, settings, call, interaction);
    const { callback, work } = await answer(deps, interaction);
    if (work) await start(c.env, `discord:${interaction.id}`, { kind: "discord_work", interaction });
    return c.json(callback);
  });
}
