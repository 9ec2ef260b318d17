import { readCustomId } from "../core/custom-id.ts";
import { detailsOf } from "../core/details.ts";
import { pageOf, type Shelf } from "../core/gallery.ts";
import { channelOf, prefer } from "../core/preferences.ts";
import { quotasOf } from "../core/quotas.ts";
import { applySettings, groupOf } from "../core/settings.ts";
import { statusOf } from "../core/status.ts";
import { say as inWords, type Sentence, sentence, stringsFor } from "../core/strings.ts";
import { requireOwner } from "../core/studio.ts";
import { Told } from "../core/trouble.ts";
import { viewOf } from "../core/view.ts";
import { DiscordCanvas } from "./canvas.ts";
import { MESSAGE_COMMANDS } from "./commands.ts";
import { type Answer, type DiscordDeps, whisper } from "./deps.ts";
import { ADMINISTRATOR, MANAGE_GUILD, MANAGE_MESSAGES } from "./limits.ts";
import { apiUser, CALLBACK, type Interaction, option } from "./payload.ts";
import { originOf } from "./place.ts";
import { renderDetails, renderSaid } from "./render.ts";
import { imagine, later } from "./start.ts";

/** A slash or message command. */
export function command(deps: DiscordDeps, interaction: Interaction): Answer {
  const { name, target_id, resolved } = interaction.data ?? {};
  const target = target_id ? resolved?.messages?.[target_id] : undefined;
  switch (name) {
    case "imagine":
      return imagine(deps, interaction, {
        prompt: option(interaction, "prompt"),
        ratio: option(interaction, "ratio"),
        style: option(interaction, "style"),
        seed: option(interaction, "seed"),
        count: option(interaction, "count"),
        avoid: option(interaction, "avoid"),
        private: option(interaction, "private"),
      });
    case MESSAGE_COMMANDS.imagine:
      return imagine(deps, interaction, { prompt: target?.content ?? "" });
    case MESSAGE_COMMANDS.details: {
      const ids = (target?.components ?? []).flatMap((row) => row.components ?? []);
      const id = ids.map(({ custom_id }) => readCustomId(custom_id ?? "")?.id).find(Boolean);
      return id ? details(deps, interaction, id) : { callback: whisper([sentence("not_found")], interaction) };
    }
    case "gallery":
      return {
        callback: later(true),
        work: () => gallery(deps, interaction, option(interaction, "favorites") ? "favorites" : "gallery", null),
      };
    case "show":
      return { callback: later(false), work: () => show(deps, interaction) };
    case "quota":
      return { callback: later(true), work: () => quota(deps, interaction) };
    case "prefer":
      return { callback: later(true), work: () => preferences(deps, interaction) };
    case "status":
      return {
        callback: later(true),
        work: async () => say(deps, interaction, await statusOf(deps.studio.api, deps.clock)),
      };
    case "settings":
      return { callback: later(true), work: () => settings(deps, interaction) };
    case "privacy": {
      const strings = stringsFor(interaction.locale);
      const forget = {
        action: "forget",
        id: null,
        index: null,
        label: inWords(strings, "forget"),
        tone: "danger",
      } as const;
      return {
        callback: {
          type: CALLBACK.message,
          data: renderSaid([sentence("privacy")], interaction.locale, { buttons: [[forget]] }),
        },
      };
    }
    default:
      return { callback: whisper([sentence("unknown_button")], interaction) };
  }
}

export function details(deps: DiscordDeps, interaction: Interaction, id: string): Answer {
  return {
    callback: later(true),
    async work() {
      const generation = await deps.studio.get(id);
      const right = { application: interaction.application_id, token: interaction.token };
      await deps.wire.editOriginal(right, renderDetails(detailsOf(generation, interaction.locale ?? "en")), []);
    },
  };
}

/** A page of one's pictures, in the message that is theirs alone. */
export async function gallery(
  deps: DiscordDeps,
  interaction: Interaction,
  shelf: Shelf,
  before: string | null,
): Promise<void> {
  const now = deps.clock.now();
  const origin = originOf(interaction, now, { private: true });
  const page = { shelf, user: apiUser(interaction), before, origin, now };
  await canvasFor(deps, interaction, origin).show((await pageOf(deps.studio.api, page)).view);
}

async function show(deps: DiscordDeps, interaction: Interaction): Promise<void> {
  const id = String(option(interaction, "id") ?? "").trim();
  const generation = await deps.studio.get(id);
  requireOwner(generation, apiUser(interaction), moderated(interaction));
  const origin = originOf(interaction, deps.clock.now(), { private: false });
  await canvasFor(deps, interaction, origin).show(viewOf(generation, origin, deps.clock.now()));
}

async function quota(deps: DiscordDeps, interaction: Interaction): Promise<void> {
  await say(deps, interaction, await quotasOf(deps.studio.api, apiUser(interaction), groupAt(interaction)));
}

/** What may be drawn in this guild, by all or by one; Discord shows it to those who run it, and it is checked again. */
async function settings(deps: DiscordDeps, interaction: Interaction): Promise<void> {
  const group = groupAt(interaction);
  if (group === null) throw new Told(sentence("settings_place"));
  requireManager(interaction);
  const person = option<string>(interaction, "person");
  const raw = {
    day: option<number>(interaction, "day"),
    at_once: option<number>(interaction, "at_once"),
    all: option<number>(interaction, "all"),
    block: option<boolean>(interaction, "block"),
  };
  await say(deps, interaction, await applySettings(deps.studio.api, group, raw, person ? `discord:${person}` : null));
}

/** @throws {Told} */
function requireManager({ member }: Interaction): void {
  const given = BigInt(member?.permissions ?? "0");
  if ((given & (MANAGE_GUILD | ADMINISTRATOR)) === 0n) throw new Told(sentence("settings_denied"));
}

/** What one wants where a command says nothing; for a channel, those who run the server say it. */
async function preferences(deps: DiscordDeps, interaction: Interaction): Promise<void> {
  const { api } = deps.studio;
  const ofChannel = option<boolean>(interaction, "channel") ?? false;
  const channel = channelOf(originOf(interaction, deps.clock.now(), { private: true }));
  if (ofChannel && channel === null) throw new Told(sentence("settings_place"));
  if (ofChannel) requireManager(interaction);
  const raw = {
    ratio: option<string>(interaction, "ratio"),
    style: option<string>(interaction, "style"),
    avoid: option<string>(interaction, "avoid"),
    reset: option<boolean>(interaction, "reset"),
  };
  const id = ofChannel && channel !== null ? channel : apiUser(interaction);
  await say(deps, interaction, await prefer(api, await deps.studio.models(), id, raw, ofChannel));
}

const groupAt = ({ guild_id }: Interaction) => groupOf({ chat: "discord", place: guild_id });

/** Fills the deferred answer with sentences. */
async function say(deps: DiscordDeps, interaction: Interaction, said: Sentence[]): Promise<void> {
  const right = { application: interaction.application_id, token: interaction.token };
  await deps.wire.editOriginal(right, { ...renderSaid(said, interaction.locale), flags: undefined }, []);
}

/** The guild in which this person may manage messages, if it is here. */
export function moderated({ guild_id, member }: Interaction): string | null {
  return guild_id && (BigInt(member?.permissions ?? "0") & MANAGE_MESSAGES) !== 0n ? guild_id : null;
}

export function canvasFor(deps: DiscordDeps, interaction: Interaction, origin: ReturnType<typeof originOf>) {
  const { wire, clock, studio } = deps;
  return new DiscordCanvas({ wire, clock, api: studio.api, application: interaction.application_id, origin });
}
