import { z } from "../../contract/zod.ts";
import { Misconfigured } from "../config.ts";

/** The chats that reach the edge over HTTP; each is served where its variables are set. */
export interface ChatSettings {
  /** The key that the bots call the API with. */
  apiKey: string;
  discord: { publicKey: string; token: string | null; apiUrl: string } | null;
  slack: SlackChatSettings | null;
}

export interface SlackChatSettings {
  signingSecret: string;
  /** The one workspace's bot token; null where workspaces install the app. */
  botToken: string | null;
  /** Slack's Web API with its last slash. */
  apiUrl: string;
  oauth: { clientId: string; clientSecret: string; encryptionKey: string; authorizeUrl: string } | null;
}

const address = z.url({ protocol: /^https?$/, error: "must be an http(s) URL" });
const Key = z.object({
  CHAT_API_KEY: z.string().min(1).describe("the API key that the bots at the edge use"),
});

const Discord = Key.extend({
  DISCORD_PUBLIC_KEY: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, "must be 64 hexadecimal digits")
    .describe("the application's public key, from its page General Information"),
  DISCORD_TOKEN: z
    .string()
    .regex(/^[\w.-]{20,}$/, "must be a bot token")
    .optional()
    .describe("the bot's token, which lets it edit its messages after 15 minutes"),
  DISCORD_API_URL: address
    .default("https://discord.com/api")
    .transform((text) => text.replace(/\/+$/, ""))
    .describe("Discord's API"),
});

const Slack = Key.extend({
  SLACK_SIGNING_SECRET: z
    .string()
    .regex(/^[0-9a-f]{32,}$/, "must be at least 32 hexadecimal digits")
    .describe("what Slack signs its requests with, from the app's page Basic Information"),
  SLACK_BOT_TOKEN: z
    .string()
    .regex(/^xoxb-[\w-]+$/, "must be a bot token (xoxb-…)")
    .optional()
    .describe("the bot token of the one workspace, from OAuth & Permissions"),
  SLACK_CLIENT_ID: z
    .string()
    .regex(/^\d+\.\d+$/, "must be a client id")
    .optional()
    .describe("the app's client id, where workspaces install it"),
  SLACK_CLIENT_SECRET: z
    .string()
    .regex(/^[0-9a-f]{32,}$/, "must be a client secret")
    .optional()
    .describe("the app's client secret, beside its client id"),
  SLACK_ENCRYPTION_KEY: z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/, "must be 32 bytes in base64")
    .optional()
    .describe("seals the workspaces' tokens, beside the client id"),
  SLACK_API_URL: address
    .default("https://slack.com/api/")
    .transform((text) => `${text.replace(/\/+$/, "")}/`)
    .describe("Slack's Web API"),
  SLACK_AUTHORIZE_URL: address
    .default("https://slack.com/oauth/v2/authorize")
    .describe("where an administrator allows the app"),
});

/** @returns null where no chat is set up @throws {Misconfigured} naming the variable at fault */
export function readChatSettings(env: object): ChatSettings | null {
  const { DISCORD_PUBLIC_KEY, SLACK_SIGNING_SECRET } = env as Record<string, string | undefined>;
  if (!DISCORD_PUBLIC_KEY && !SLACK_SIGNING_SECRET) return null;
  const discord = DISCORD_PUBLIC_KEY ? parsed(Discord, env) : null;
  const slack = SLACK_SIGNING_SECRET ? parsed(Slack, env) : null;
  return {
    apiKey: (discord ?? slack)?.CHAT_API_KEY ?? "",
    discord: discord && {
      publicKey: discord.DISCORD_PUBLIC_KEY,
      token: discord.DISCORD_TOKEN ?? null,
      apiUrl: discord.DISCORD_API_URL,
    },
    slack: slack && {
      signingSecret: slack.SLACK_SIGNING_SECRET,
      botToken: slack.SLACK_BOT_TOKEN ?? null,
      apiUrl: slack.SLACK_API_URL,
      oauth: oauthOf(slack),
    },
  };
}

function oauthOf(given: z.infer<typeof Slack>): SlackChatSettings["oauth"] {
  const { SLACK_BOT_TOKEN, SLACK_CLIENT_ID, SLACK_CLIENT_SECRET, SLACK_ENCRYPTION_KEY, SLACK_AUTHORIZE_URL } = given;
  if (SLACK_BOT_TOKEN && SLACK_CLIENT_ID)
    throw new Misconfigured("SLACK_BOT_TOKEN is for one workspace, SLACK_CLIENT_ID for many; set one of them.");
  if (SLACK_BOT_TOKEN) return null;
  if (!SLACK_CLIENT_ID) throw missing(Slack, "SLACK_BOT_TOKEN");
  if (!SLACK_CLIENT_SECRET) throw missing(Slack, "SLACK_CLIENT_SECRET");
  if (!SLACK_ENCRYPTION_KEY) throw missing(Slack, "SLACK_ENCRYPTION_KEY");
  return {
    clientId: SLACK_CLIENT_ID,
    clientSecret: SLACK_CLIENT_SECRET,
    encryptionKey: SLACK_ENCRYPTION_KEY,
    authorizeUrl: SLACK_AUTHORIZE_URL,
  };
}

function parsed<Schema extends z.ZodObject>(schema: Schema, env: object): z.infer<Schema> {
  const found = schema.safeParse(env);
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  const name = String(issue?.path[0]);
  if ((env as Record<string, unknown>)[name] === undefined) throw missing(schema, name);
  throw new Misconfigured(`The variable ${name} (${schema.shape[name]?.description}) ${issue?.message}.`);
}

function missing(schema: z.ZodObject, name: string): Misconfigured {
  return new Misconfigured(`The variable ${name} (${schema.shape[name]?.description}) is missing.`);
}
