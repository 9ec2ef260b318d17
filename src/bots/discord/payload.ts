import { EPHEMERAL } from "./limits.ts";

/** The parts of an interaction that are read here (discord-api-docs: interactions/receiving-and-responding). */
export interface Interaction {
  id: string;
  application_id: string;
  type: number;
  token: string;
  data?: InteractionData;
  guild_id?: string;
  channel_id?: string;
  channel?: { id: string; nsfw?: boolean };
  member?: { user: { id: string }; permissions?: string };
  user?: { id: string };
  message?: Message;
  locale?: string;
  app_permissions?: string;
  attachment_size_limit?: number;
  /** `0` names the guild that installed the app, `1` the user who did. */
  authorizing_integration_owners?: Record<string, string>;
  /** 0 guild, 1 direct message with the bot, 2 other private channel. */
  context?: number | null;
  /** Milliseconds since 1970 when it came, where it is worked on later; not Discord's. */
  arrived?: number;
}

export interface InteractionData {
  name?: string;
  /** Commands: 1 slash, 3 on a message. */
  type?: number;
  options?: { name: string; value: string | number | boolean; focused?: boolean }[];
  custom_id?: string;
  target_id?: string;
  resolved?: { messages?: Record<string, Message>; users?: Record<string, { id: string }> };
  components?: ModalRow[];
}

export interface Message {
  id: string;
  content?: string;
  flags?: number;
  components?: { components?: { custom_id?: string }[] }[];
}

interface ModalRow {
  component?: { custom_id: string; value?: string };
}

export const INTERACTION = { ping: 1, command: 2, component: 3, autocomplete: 4, modal: 5 } as const;
export const CALLBACK = { pong: 1, message: 4, deferred: 5, deferredUpdate: 6, autocomplete: 8, modal: 9 } as const;

/** What an interaction is answered with. */
export interface Callback {
  type: number;
  data?: Record<string, unknown>;
}

export const userId = (interaction: Interaction): string => (interaction.member?.user ?? interaction.user)?.id ?? "";
/** The end user as the API knows them. */
export const apiUser = (interaction: Interaction): string => `discord:${userId(interaction)}`;

/** Whether it was pressed in a message that only this person sees. */
export const isHidden = ({ message }: Interaction): boolean => ((message?.flags ?? 0) & EPHEMERAL) !== 0;

export function option<T>(interaction: Interaction, name: string): T | undefined {
  return interaction.data?.options?.find((given) => given.name === name)?.value as T | undefined;
}

/** The text fields of a submitted modal. */
export function fields(interaction: Interaction): Record<string, string> {
  const given = (interaction.data?.components ?? []).flatMap(({ component }) => (component ? [component] : []));
  return Object.fromEntries(given.map(({ custom_id, value }) => [custom_id, value ?? ""]));
}
