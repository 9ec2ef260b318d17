import { registerDiscord, startDiscord } from "./discord/process.ts";
import { type BotSettings, BotsError, readBotSettings } from "./settings.ts";
import { manifest } from "./slack/manifest.ts";
import { startSlack } from "./slack/process.ts";

export { BotsError } from "./settings.ts";

export interface BotsHost {
  env: Record<string, string | undefined>;
  /** Where the API is. */
  connect: () => Promise<{ url: string; apiKey: string }>;
  /** Aborts when the bots are to stop. */
  signal: AbortSignal;
  /** One line for whoever runs them. */
  say: (line: string) => void;
  log: (event: Record<string, unknown>) => void;
}

const USAGE = `npm run bots                      every bot that has tokens in the environment, until Ctrl-C
npm run bots -- register          writes Discord's commands where they differ, and says which
npm run bots -- manifest [URL]    the Slack app's manifest; with a URL for requests to it instead of Socket Mode`;

/** `npm run bots`. @returns the exit status @throws {BotsError} */
export async function bots(args: string[], host: BotsHost): Promise<number> {
  const [verb, ...rest] = args;
  if (verb === "manifest" && rest.length < 2) {
    host.say(JSON.stringify(manifest(addressOf(rest[0])), null, 2));
    return 0;
  }
  if (rest.length > 0 || (verb !== undefined && verb !== "register")) throw new BotsError(USAGE);
  const settings = readBotSettings(host.env);
  if (!settings.discord && !settings.slack)
    throw new BotsError(
      "No bot has tokens. Set DISCORD_TOKEN and DISCORD_APP_ID, or SLACK_BOT_TOKEN and SLACK_APP_TOKEN; docs/discord.md and docs/slack.md say where they come from.",
    );
  if (verb === "register") return register(settings, host);
  const api = await host.connect();
  const running: { stop: () => Promise<void> }[] = [];
  try {
    for (const start of starts(settings, api, host)) running.push(await start());
    await new Promise<void>((resolve) => {
      if (host.signal.aborted) resolve();
      host.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    await Promise.all(running.map((bot) => bot.stop()));
  }
  return 0;
}

function starts({ discord, slack }: BotSettings, api: { url: string; apiKey: string }, { log, say }: BotsHost) {
  return [
    ...(discord
      ? [
          async () => {
            const bot = await startDiscord({ settings: discord, api, log });
            say("The Discord bot is connected.");
            return bot;
          },
        ]
      : []),
    ...(slack
      ? [
          async () => {
            const bot = await startSlack({ settings: slack, api, log });
            const where = bot.port === null ? "is connected" : `listens on port ${bot.port}`;
            say(`The Slack bot ${where}.`);
            return bot;
          },
        ]
      : []),
  ];
}

async function register({ discord }: BotSettings, { say }: BotsHost): Promise<number> {
  if (!discord)
    throw new BotsError(
      "Only Discord's commands are registered; Slack's are in its manifest: npm run bots -- manifest.",
    );
  const { changed, removed } = await registerDiscord(discord);
  say(changed.length + removed.length === 0 ? "Discord's commands are as they should be." : summary(changed, removed));
  return 0;
}

function addressOf(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!/^https:\/\/[^/]+/.test(text)) throw new BotsError(`${text} is no https:// address; Slack calls no other.`);
  return text.replace(/\/+$/, "");
}

function summary(changed: string[], removed: string[]): string {
  const parts = [
    changed.length > 0 ? `written: ${changed.join(", ")}` : "",
    removed.length > 0 ? `removed: ${removed.join(", ")}` : "",
  ];
  return `Discord's commands, ${parts.filter(Boolean).join("; ")}. Clients see them within minutes.`;
}
