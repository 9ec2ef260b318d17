/** Discord's own bounds (discord-api-docs: resources/message, components/reference, interactions/application-commands). */
export const DISCORD = {
  content: 2000,
  altText: 1024,
  label: 80,
  modalTitle: 45,
  modalLabel: 45,
  modalText: 4000,
  choices: 25,
  choice: 100,
  /** Bytes of a file where the interaction names no other limit. */
  file: 10 * 1024 * 1024,
  /** Milliseconds that an interaction's token edits its message. */
  token: 15 * 60 * 1000,
} as const;

/** Discord lets a message be edited five times in 5 s; a person reads no more than one of these. In milliseconds. */
export const PACE = { interval: 2_000, grace: 1_000 } as const;

export const EPHEMERAL = 1 << 6;
/** What the bot needs where it posts pictures: View Channel, Attach Files. */
export const NEEDED_PERMISSIONS = { "View Channel": 1n << 10n, "Attach Files": 1n << 15n } as const;
export const MANAGE_MESSAGES = 1n << 13n;
/** Called Manage Server. */
export const MANAGE_GUILD = 1n << 5n;
export const ADMINISTRATOR = 1n << 3n;
