import { registerDiscord, startDiscord } from "./discord/process.ts";
import { BotsError, readBotSettings } from "./settings.ts";

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

const USAGE = `npm run bots               every bot that has tokens in the environment, until Ctrl-C
npm run bots -- register   writes Discord's commands where they differ, and says which`;

/** `npm run bots`. @returns the exit status @throws {BotsError} */
export async function bots(args: string[], host: BotsHost): Promise<number> {
  if (args.length > 1 || (args[0] !== undefined && args[0] !== "register")) throw new BotsError(USAGE);
  const { discord } = readBotSettings(host.env);
  if (!discord)
    throw new BotsError(
      "No bot has tokens. Set DISCORD_TOKEN and DISCORD_APP_ID; docs/discord.md says where they come from.",
    );
  if (args[0] === "register") {
    const { changed, removed } = await registerDiscord(discord);
    host.say(
      changed.length + removed.length === 0 ? "Discord's commands are as they should be." : summary(changed, removed),
    );
    return 0;
  }
  const bot = await startDiscord({ settings: discord, api: await host.connect(), log: host.log });
  host.say("The Discord bot is connected.");
  await new Promise<void>((resolve) => {
    if (host.signal.aborted) resolve();
    host.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await bot.stop();
  return 0;
}

function summary(changed: string[], removed: string[]): string {
  const parts = [
    changed.length > 0 ? `written: ${changed.join(", ")}` : "",
    removed.length > 0 ? `removed: ${removed.join(", ")}` : "",
  ];
  return `Discord's commands, ${parts.filter(Boolean).join("; ")}. Clients see them within minutes.`;
}
