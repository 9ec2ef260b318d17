import { join } from "node:path";
import { z } from "zod";

/** What keeps the bots from running, in a sentence for whoever runs them. */
export class BotsError extends Error {
  override readonly name = "BotsError";
  /** 1: it cannot run now; 2: it was asked for wrongly. */
  readonly status: 1 | 2;
  constructor(message: string, status: 1 | 2 = 2) {
    super(message);
    this.status = status;
  }
}

export interface DiscordSettings {
  token: string;
  application: string;
  /** Discord's API, such as `https://discord.com/api`. */
  apiUrl: string;
}

export interface SlackSettings {
  /** The one workspace's bot token; null where workspaces install the app. */
  botToken: string | null;
  /** With it the bot connects to Slack; without it, it listens for Slack's requests. */
  appToken: string | null;
  signingSecret: string | null;
  /** Where requests and installations are listened for. */
  port: number;
  /** Slack's Web API with its last slash. */
  apiUrl: string;
  oauth: SlackOAuthSettings | null;
}

export interface SlackOAuthSettings {
  clientId: string;
  clientSecret: string;
  /** 32 bytes in base64: seals the workspaces' tokens. */
  encryptionKey: string;
  /** Where sealed installations lie. */
  folder: string;
  authorizeUrl: string;
}

export interface BotSettings {
  discord: DiscordSettings | null;
  slack: SlackSettings | null;
}

const address = z.url({ protocol: /^https?$/, error: "must be an http(s) URL" });

const Discord = z.object({
  DISCORD_TOKEN: z.string().regex(/^[\w.-]{20,}$/, "is not a bot token; copy it from the application's page Bot"),
  DISCORD_APP_ID: z.string().regex(/^\d{15,21}$/, "is not an application id; copy it from General Information"),
  DISCORD_API_URL: address.default("https://discord.com/api").transform((text) => text.replace(/\/+$/, "")),
});

const Slack = z.object({
  SLACK_BOT_TOKEN: z
    .string()
    .regex(/^xoxb-[\w-]+$/, "is not a bot token (xoxb-…); copy it from the app's page OAuth & Permissions")
    .optional(),
  SLACK_APP_TOKEN: z
    .string()
    .regex(/^xapp-[\w-]+$/, "is not an app-level token (xapp-…); make one with connections:write on Basic Information")
    .optional(),
  SLACK_SIGNING_SECRET: z
    .string()
    .regex(/^[0-9a-f]{32,}$/, "is not a signing secret; copy it from the app's page Basic Information")
    .optional(),
  SLACK_CLIENT_ID: z
    .string()
    .regex(/^\d+\.\d+$/, "is not a client id; copy it from the app's page Basic Information")
    .optional(),
  SLACK_CLIENT_SECRET: z
    .string()
    .regex(/^[0-9a-f]{32,}$/, "is not a client secret; copy it from the app's page Basic Information")
    .optional(),
  SLACK_ENCRYPTION_KEY: z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/, "must be 32 random bytes in base64, as `openssl rand -base64 32` prints them")
    .optional(),
  SLACK_PORT: z.coerce.number("must be a port").int("must be a port").min(0).max(65_535).default(3000),
  SLACK_API_URL: address.default("https://slack.com/api/").transform((text) => `${text.replace(/\/+$/, "")}/`),
  SLACK_AUTHORIZE_URL: address.default("https://slack.com/oauth/v2/authorize"),
  VIGNETTE_STATE: z.string().default(".vignette"),
});

type Present = Record<string, string | undefined>;

/** The bots' part of the environment. @throws {BotsError} naming the variable at fault */
export function readBotSettings(env: Record<string, string | undefined>): BotSettings {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  return {
    discord: present.DISCORD_TOKEN ? readDiscord(present) : null,
    slack: wantsSlack(present) ? readSlack(present) : null,
  };
}

/** A signing secret alone is the edge's, and so is a bot token beside the key that the edge's bots use. */
function wantsSlack({ SLACK_APP_TOKEN, SLACK_BOT_TOKEN, SLACK_CLIENT_ID, CHAT_API_KEY }: Present): boolean {
  return Boolean(SLACK_APP_TOKEN || ((SLACK_BOT_TOKEN || SLACK_CLIENT_ID) && !CHAT_API_KEY));
}

function readDiscord(present: Present): DiscordSettings {
  const found = Discord.safeParse(present);
  if (!found.success) throw faultOf(found.error, present, "is missing; DISCORD_TOKEN needs it beside it");
  const { DISCORD_TOKEN, DISCORD_APP_ID, DISCORD_API_URL } = found.data;
  return { token: DISCORD_TOKEN, application: DISCORD_APP_ID, apiUrl: DISCORD_API_URL };
}

function readSlack(present: Present): SlackSettings {
  const found = Slack.safeParse(present);
  if (!found.success) throw faultOf(found.error, present, "is missing");
  const given = found.data;
  const needs = (name: keyof typeof given, because: string) =>
    new BotsError(`${name} is missing; ${because}. docs/slack.md says where it comes from.`);
  const { SLACK_CLIENT_ID, SLACK_CLIENT_SECRET, SLACK_ENCRYPTION_KEY } = given;
  if (!given.SLACK_BOT_TOKEN && !SLACK_CLIENT_ID) throw needs("SLACK_BOT_TOKEN", "the bot speaks with it");
  if (SLACK_CLIENT_ID && given.SLACK_BOT_TOKEN)
    throw new BotsError("SLACK_BOT_TOKEN is for one workspace, SLACK_CLIENT_ID for many; set one of them.");
  if (!given.SLACK_APP_TOKEN && !given.SLACK_SIGNING_SECRET)
    throw needs("SLACK_APP_TOKEN", "the bot connects with it (Socket Mode), or listens if SLACK_SIGNING_SECRET is set");
  if (SLACK_CLIENT_ID && !SLACK_CLIENT_SECRET) throw needs("SLACK_CLIENT_SECRET", "SLACK_CLIENT_ID needs it beside it");
  if (SLACK_CLIENT_ID && !SLACK_ENCRYPTION_KEY)
    throw needs("SLACK_ENCRYPTION_KEY", "the workspaces' tokens are kept under it");
  return {
    botToken: given.SLACK_BOT_TOKEN ?? null,
    appToken: given.SLACK_APP_TOKEN ?? null,
    signingSecret: given.SLACK_SIGNING_SECRET ?? null,
    port: given.SLACK_PORT,
    apiUrl: given.SLACK_API_URL,
    oauth:
      SLACK_CLIENT_ID && SLACK_CLIENT_SECRET && SLACK_ENCRYPTION_KEY
        ? {
            clientId: SLACK_CLIENT_ID,
            clientSecret: SLACK_CLIENT_SECRET,
            encryptionKey: SLACK_ENCRYPTION_KEY,
            folder: join(given.VIGNETTE_STATE, "slack"),
            authorizeUrl: given.SLACK_AUTHORIZE_URL,
          }
        : null,
  };
}

function faultOf(error: z.ZodError, present: Record<string, unknown>, missing: string): BotsError {
  const [issue] = error.issues;
  const name = String(issue?.path[0]);
  return new BotsError(`${name} ${name in present ? issue?.message : missing}.`);
}
