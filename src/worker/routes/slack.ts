import type { OpenAPIHono } from "@hono/zod-openapi";
import { NotInstalled } from "../../bots/slack/deps.ts";
import { answer } from "../../bots/slack/handler.ts";
import {
  askOf,
  type Delivery,
  type SlackCommand,
  type SlackEvent,
  type SlackInteraction,
} from "../../bots/slack/payload.ts";
import { isFromSlack } from "../../bots/slack/verify.ts";
import { start } from "../chat/discord.ts";
import { readChatSettings } from "../chat/settings.ts";
import { slackDeps } from "../chat/slack.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { onNotFound } from "../problems.ts";
import { readBody } from "../read-body.ts";
import { Refusal } from "../refusal.ts";

const MAX_BYTES = 1024 * 1024;

/** Slack's requests over HTTP, where the app's signing secret is set; no part of the public description. */
export function registerSlack(app: OpenAPIHono<AppEnv>): void {
  /** @param read what was delivered; null for what is none of the bot's */
  const receive = (path: string, read: (text: string) => Delivery | { challenge: string } | null) =>
    app.post(path, async (c) => {
      const settings = readChatSettings(c.env);
      if (!settings?.slack) return onNotFound(c);
      const body = await readBody(c.req.raw, MAX_BYTES);
      const now = c.get("deps").now();
      if (!(await isFromSlack(settings.slack.signingSecret, c.req.raw.headers, body, now)))
        throw new Refusal("signature_invalid", "The signature is not Slack's for this app.");
      const delivery = read(new TextDecoder().decode(body));
      if (!delivery) return c.body(null, 200);
      if ("challenge" in delivery) return c.json(delivery);
      return deliver(c, delivery, now);
    });

  async function deliver(c: AppContext, delivery: Delivery, arrived: number): Promise<Response> {
    const settings = readChatSettings(c.env);
    if (!settings) return onNotFound(c);
    const call = (request: Request) => app.fetch(request, c.env, c.executionCtx);
    const ask = askOf(delivery, arrived);
    const deps = await slackDeps(c.env, settings, call, { request: ask.request });
    if (delivery.kind === "command" && settings.slack?.oauth) {
      const absent = await deps.wires(ask).catch((error: unknown) => error);
      if (absent instanceof NotInstalled) {
        const text = `This workspace has not installed me; an administrator does at ${c.env.PUBLIC_URL}/slack/install`;
        return c.json({ response_type: "ephemeral", text });
      }
    }
    const { ack, urgent, work } = answer(deps, delivery, arrived);
    if (urgent) c.executionCtx.waitUntil(urgent());
    if (work) await start(c.env, `slack:${ask.request}`, { kind: "slack_work", delivery, arrived });
    return ack ? c.json(ack) : c.body(null, 200);
  }

  receive("/slack/commands", (text) => {
    const form = Object.fromEntries(new URLSearchParams(text));
    return form.ssl_check ? null : { kind: "command", body: form as unknown as SlackCommand };
  });
  receive("/slack/interactions", (text) => {
    const body = JSON.parse(new URLSearchParams(text).get("payload") ?? "{}") as SlackInteraction;
    return { kind: "interaction", body };
  });
  receive("/slack/events", (text) => {
    const body = JSON.parse(text) as SlackEvent | { type: "url_verification"; challenge: string };
    if (body.type === "url_verification") return { challenge: body.challenge };
    return body.type === "event_callback" ? { kind: "event", body } : null;
  });
}
