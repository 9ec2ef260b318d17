import type { Message } from "./payload.ts";

/** A file beside a message. */
export interface Upload {
  name: string;
  contentType: string;
  data: Uint8Array<ArrayBuffer>;
}

/** Discord's refusal. */
export class DiscordRefusal extends Error {
  override readonly name = "DiscordRefusal";
  readonly status: number;
  /** Discord's JSON error code, 0 when there was none. */
  readonly code: number;
  constructor(status: number, code: number) {
    super(`Discord answered ${status} (${code}).`);
    this.status = status;
    this.code = code;
  }
}

/** An interaction's right to speak. */
export interface Right {
  application: string;
  token: string;
}

/** What the bot does at Discord; the gateway does it through discord.js, the edge with fetch. */
export interface Wire {
  /** The message that answers the interaction. */
  original(right: Right): Promise<Message>;
  editOriginal(right: Right, body: object, files: Upload[]): Promise<void>;
  deleteOriginal(right: Right): Promise<void>;
  followUp(right: Right, body: object): Promise<void>;
  /** As a member of the place, without a token; null when this bot has none of its own. */
  editMessage: ((channel: string, message: string, body: object, files: Upload[]) => Promise<void>) | null;
}

/** The token is spent: 50027 invalid token, 10015 unknown webhook, 10062 unknown interaction. */
export const isSpent = (error: unknown): boolean =>
  error instanceof DiscordRefusal && (error.status === 401 || [50027, 10015, 10062].includes(error.code));

/** No edit will ever work: 10003 and 10008 unknown channel and message, 50001 and 50013 no access, 30046 too old. */
export const isLost = (error: unknown): boolean =>
  error instanceof DiscordRefusal && [10003, 10008, 50001, 50013, 30046].includes(error.code);

export const isTooLarge = (error: unknown): boolean =>
  error instanceof DiscordRefusal && (error.code === 40005 || error.status === 413);
