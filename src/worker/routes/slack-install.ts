import type { OpenAPIHono } from "@hono/zod-openapi";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { SCOPES } from "../../bots/slack/limits.ts";
import { exchange } from "../../bots/slack/oauth.ts";
import { sealOf } from "../../bots/slack/seal.ts";
import { type ChatSettings, readChatSettings } from "../chat/settings.ts";
import { installationsOf } from "../chat/slack.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { onNotFound } from "../problems.ts";

const COOKIE = "slack-app-oauth-state";
const FRESH_MS = 10 * 60 * 1000;
const BACK = "/slack/oauth_redirect";

/** An administrator installs the app: to Slack and back, with a state that only this browser has (RFC 6749, 10.12). */
export function registerSlackInstall(app: OpenAPIHono<AppEnv>): void {
  app.get("/slack/install", async (c) => {
    const oauth = oauthOf(c);
    if (!oauth) return onNotFound(c);
    const state = await (await sealOf(oauth.encryptionKey)).close(String(c.get("deps").now()), COOKIE);
    setCookie(c, COOKIE, state, { path: BACK, maxAge: FRESH_MS / 1000, httpOnly: true, secure: true, sameSite: "Lax" });
    const url = new URL(oauth.authorizeUrl);
    const query = { client_id: oauth.clientId, scope: SCOPES.join(","), state, redirect_uri: backTo(c) };
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return c.redirect(url.href);
  });

  app.get(BACK, async (c) => {
    const settings = readChatSettings(c.env);
    const oauth = oauthOf(c);
    if (!settings?.slack || !oauth) return onNotFound(c);
    const { state = "", code, error } = c.req.query();
    const mine = getCookie(c, COOKIE) === state && (await isFresh(oauth.encryptionKey, state, c.get("deps").now()));
    deleteCookie(c, COOKIE, { path: BACK });
    if (!mine)
      return c.text(`This page was not asked for from here. Begin again at ${c.env.PUBLIC_URL}/slack/install`, 400);
    if (!code) return c.text(`Slack did not allow it (${error ?? "no code"}). Nothing was installed.`, 400);
    const installation = await exchange(
      { ...oauth, apiUrl: settings.slack.apiUrl, redirectUri: backTo(c), code },
      (input, init) => globalThis.fetch(input, init),
    );
    if (typeof installation === "string")
      return c.text(`Slack refused (${installation}). Begin again at ${c.env.PUBLIC_URL}/slack/install`, 400);
    await (await installationsOf(c.env, settings))?.save(installation);
    return c.text("Vignette is installed. Type /imagine and a sentence in any channel.");
  });
}

const oauthOf = (c: AppContext): NonNullable<ChatSettings["slack"]>["oauth"] =>
  readChatSettings(c.env)?.slack?.oauth ?? null;
const backTo = (c: AppContext): string => `${c.env.PUBLIC_URL}${BACK}`;

async function isFresh(key: string, state: string, now: number): Promise<boolean> {
  if (state === "") return false;
  const at = await (await sealOf(key)).open(state, COOKIE).catch(() => "0");
  return now - Number(at) < FRESH_MS;
}
