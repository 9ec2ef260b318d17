/**
 * Where a generation was asked for. It travels in the generation's metadata, so a bot that starts again finds every job
 * with the place that waits for it.
 */
export interface Origin {
  chat: "discord" | "slack";
  /** The command's or event's id: the same one never draws twice. */
  request: string;
  /** Discord: guild, absent in direct messages; Slack: workspace. */
  place?: string | undefined;
  /** Slack: the organisation that installed the app, where it was not the workspace. */
  org?: string | undefined;
  channel: string;
  /** The one message of this job: Discord message id, Slack timestamp. */
  message?: string | undefined;
  /** Slack: the thread it stands in. */
  thread?: string | undefined;
  /**
   * What edits that message: Discord's interaction token, good for 15 minutes, or Slack's response URL, good for 30. It
   * can do nothing else, and is worthless after `expires` (milliseconds since 1970).
   */
  token?: string | undefined;
  expires?: number | undefined;
  locale: string;
  style?: string | undefined;
  private?: boolean | undefined;
  /** Flagged images may be shown behind a cover: an age-restricted channel or a direct message. */
  adult?: boolean | undefined;
  /** The bot may edit the message as a member, without a token. */
  member?: boolean | undefined;
  /** Bytes that a file may have here. */
  limit?: number | undefined;
  /** The generation that this one goes back to, and by which button. */
  parent?: string | undefined;
  how?: string | undefined;
}

const NUMBERS = ["expires", "limit"] as const;
const BOOLEANS = ["private", "adult", "member"] as const;

export function writeOrigin(origin: Origin): Record<string, string> {
  const given = Object.entries(origin).filter(([, value]) => value !== undefined && value !== false);
  return Object.fromEntries(given.map(([name, value]) => [name, value === true ? "1" : String(value)]));
}

/** @returns null for a generation that no chat asked for */
export function readOrigin(metadata: Record<string, string>): Origin | null {
  const { chat, request, channel, locale } = metadata;
  if ((chat !== "discord" && chat !== "slack") || !request || !channel || !locale) return null;
  const origin: Record<string, unknown> = { ...metadata };
  for (const name of NUMBERS) if (name in metadata) origin[name] = Number(metadata[name]);
  for (const name of BOOLEANS) if (name in metadata) origin[name] = metadata[name] === "1";
  return origin as unknown as Origin;
}
