import { z } from "../../contract/zod.ts";
import { Misconfigured } from "../config.ts";

/** The chats that reach the edge over HTTP; each is served where its variables are set. */
export interface ChatSettings {
  /** The key that the bots call the API with. */
  apiKey: string;
  discord: { publicKey: string; token: string | null; apiUrl: string };
}

const Variables = z.object({
  CHAT_API_KEY: z.string().min(1).describe("the API key that the bots at the edge use"),
  DISCORD_PUBLIC_KEY: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, "must be 64 hexadecimal digits")
    .describe("the application's public key, from its page General Information"),
  DISCORD_TOKEN: z
    .string()
    .regex(/^[\w.-]{20,}$/, "must be a bot token")
    .optional()
    .describe("the bot's token, which lets it edit its messages after 15 minutes"),
  DISCORD_API_URL: z
    .url({ protocol: /^https?$/, error: "must be an http(s) URL" })
    .default("https://discord.com/api")
    .transform((text) => text.replace(/\/+$/, ""))
    .describe("Discord's API"),
});

/** @returns null where no chat is set up @throws {Misconfigured} naming the variable at fault */
export function readChatSettings(env: object): ChatSettings | null {
  if (!(env as { DISCORD_PUBLIC_KEY?: string }).DISCORD_PUBLIC_KEY) return null;
  const found = Variables.safeParse(env);
  if (!found.success) {
    const [issue] = found.error.issues;
    const name = String(issue?.path[0]) as keyof typeof Variables.shape;
    const missing = (env as Record<string, unknown>)[name] === undefined;
    throw new Misconfigured(
      `The variable ${name} (${Variables.shape[name].description}) ${missing ? "is missing" : issue?.message}.`,
    );
  }
  const { CHAT_API_KEY, DISCORD_PUBLIC_KEY, DISCORD_TOKEN, DISCORD_API_URL } = found.data;
  return {
    apiKey: CHAT_API_KEY,
    discord: { publicKey: DISCORD_PUBLIC_KEY, token: DISCORD_TOKEN ?? null, apiUrl: DISCORD_API_URL },
  };
}
