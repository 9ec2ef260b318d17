import type { Origin } from "../core/origin.ts";
import type { Clock } from "../core/pace.ts";
import { DISCORD, NEEDED_PERMISSIONS } from "./limits.ts";
import type { Interaction } from "./payload.ts";
import { DiscordRefusal, type Wire } from "./wire.ts";

const TRIES = 5;
const PAUSE_MS = 300;

/** Where an interaction stands, as a job keeps it. */
export function originOf(
  interaction: Interaction,
  now: number,
  { private: hidden, message }: { private: boolean; message?: string | undefined },
): Origin {
  const { guild_id, channel, channel_id, context, authorizing_integration_owners: owners } = interaction;
  return {
    chat: "discord",
    request: interaction.id,
    place: guild_id,
    channel: channel_id ?? channel?.id ?? "0",
    message,
    token: interaction.token,
    expires: now + DISCORD.token,
    locale: interaction.locale ?? "en-US",
    private: hidden,
    adult: Boolean(channel?.nsfw) || context === 1,
    // A guild that installed the app has its bot; a person who did brings none along.
    member: Boolean(guild_id && owners && owners["0"] === guild_id) && !hidden,
    limit: interaction.attachment_size_limit ?? DISCORD.file,
  };
}

/** The permissions that are missing for a picture everybody sees here; none in direct messages. */
export function missingPermissions({ guild_id, app_permissions }: Interaction): string[] {
  if (!guild_id || app_permissions === undefined) return [];
  const given = BigInt(app_permissions);
  return Object.entries(NEEDED_PERMISSIONS)
    .filter(([, bit]) => (given & bit) === 0n)
    .map(([name]) => name);
}

/**
 * The message that answers the interaction; undefined where Discord does not tell. Answered over HTTP, it comes into
 * being only when Discord has read the answer.
 */
export async function answerOf(wire: Wire, interaction: Interaction, clock: Clock): Promise<string | undefined> {
  const right = { application: interaction.application_id, token: interaction.token };
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    try {
      return (await wire.original(right)).id;
    } catch (error) {
      if (!(error instanceof DiscordRefusal) || error.status !== 404) return undefined;
      await clock.sleep(PAUSE_MS);
    }
  }
  return undefined;
}
