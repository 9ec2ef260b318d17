import { DiscordAPIError, type RESTOptions } from "discord.js";
import { botClient } from "../core/api.ts";
import { LocalJobs } from "../core/jobs.ts";
import type { Origin } from "../core/origin.ts";
import { type Clock, systemClock } from "../core/pace.ts";
import { Studio } from "../core/studio.ts";
import { BotsError, type DiscordSettings } from "../settings.ts";
import { DiscordCanvas } from "./canvas.ts";
import type { DiscordDeps } from "./deps.ts";
import { commandStore, Gateway, restOf, wireOf } from "./gateway.ts";
import { PACE } from "./limits.ts";
import { tellLost } from "./lost.ts";
import { recover } from "./recover.ts";
import { type Registration, register } from "./register.ts";

export interface DiscordOptions {
  settings: DiscordSettings;
  api: { url: string; apiKey: string; fetch?: typeof fetch };
  log: (event: Record<string, unknown>) => void;
  clock?: Clock;
  random?: () => number;
  rest?: Partial<RESTOptions>;
}

/** Everything that the bot needs, connected. */
export function discordDeps(options: DiscordOptions): DiscordDeps & { jobs: LocalJobs } {
  const { settings, log, clock = systemClock, random = Math.random } = options;
  const api = botClient(options.api);
  const studio = new Studio({ api, clock, random });
  const wire = wireOf(restOf(settings, options.rest));
  const canvas = (origin: Origin) => new DiscordCanvas({ wire, api, clock, application: settings.application, origin });
  const lost = (_: unknown, origin: Origin) => tellLost(wire, clock, settings.application, origin);
  const jobs = new LocalJobs({ api, clock, ...PACE, canvas, lost, log });
  return { studio, wire, jobs, clock, log };
}

/** Connects the bot and takes up what an earlier one left. @throws {BotsError} when Discord does not want its token */
export async function startDiscord(options: DiscordOptions): Promise<{ stop: () => Promise<void> }> {
  const deps = discordDeps(options);
  const gateway = new Gateway(options.settings, deps);
  try {
    await gateway.start();
  } catch (error) {
    throw told(error, options.settings);
  }
  const recovered = recover(deps, options.settings.application).catch((error: unknown) =>
    options.log({ event: "recover_failed", error: error instanceof Error ? error.name : "unknown" }),
  );
  return {
    async stop() {
      await gateway.stop();
      await recovered;
    },
  };
}

/** Writes the commands where they differ. @throws {BotsError} */
export async function registerDiscord(settings: DiscordSettings): Promise<Registration> {
  try {
    return await register(commandStore(restOf(settings), settings.application));
  } catch (error) {
    throw told(error, settings);
  }
}

function told(error: unknown, { apiUrl }: DiscordSettings): unknown {
  const code = (error as { code?: unknown }).code;
  const refused = error instanceof DiscordAPIError && error.status === 401;
  if (refused || code === "TokenInvalid")
    return new BotsError(
      "Discord does not know DISCORD_TOKEN; reset it on the application's page Bot and copy it again.",
    );
  if (error instanceof DiscordAPIError)
    return new BotsError(
      `Discord refused: ${error.message} (status ${error.status}). Is DISCORD_APP_ID the token's?`,
      1,
    );
  if (error instanceof TypeError) return new BotsError(`${apiUrl} does not answer.`, 1);
  return error;
}
