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

export interface BotSettings {
  discord: DiscordSettings | null;
}

const Discord = z.object({
  DISCORD_TOKEN: z.string().regex(/^[\w.-]{20,}$/, "is not a bot token; copy it from the application's page Bot"),
  DISCORD_APP_ID: z.string().regex(/^\d{15,21}$/, "is not an application id; copy it from General Information"),
  DISCORD_API_URL: z
    .url({ protocol: /^https?$/, error: "must be an http(s) URL" })
    .default("https://discord.com/api")
    .transform((text) => text.replace(/\/+$/, "")),
});

/** The bots' part of the environment. @throws {BotsError} naming the variable at fault */
export function readBotSettings(env: Record<string, string | undefined>): BotSettings {
  if (!env.DISCORD_TOKEN) return { discord: null };
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const found = Discord.safeParse(present);
  if (!found.success) {
    const [issue] = found.error.issues;
    const name = String(issue?.path[0]);
    throw new BotsError(
      `${name} ${name in present ? issue?.message : "is missing; DISCORD_TOKEN needs it beside it"}.`,
    );
  }
  const { DISCORD_TOKEN, DISCORD_APP_ID, DISCORD_API_URL } = found.data;
  return { discord: { token: DISCORD_TOKEN, application: DISCORD_APP_ID, apiUrl: DISCORD_API_URL } };
}
