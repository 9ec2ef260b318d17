/** Slack's refusal. */
export class SlackRefusal extends Error {
  override readonly name = "SlackRefusal";
  /** Slack's word, such as `not_in_channel`, or the HTTP status of an answer that had none. */
  readonly code: string;
  constructor(code: string) {
    super(`Slack answered ${code}.`);
    this.code = code;
  }
}

/** There was no turn for a call that can be left out. */
export class NoTurn extends Error {
  override readonly name = "NoTurn";
}

export interface CallOptions {
  /** It may be left out where the workspace has been called often: {@link NoTurn} then. */
  optional?: boolean;
}

/** What the bot does at Slack in one workspace; a process does it through Bolt's client, the edge with fetch. */
export interface SlackWire {
  /** A method of the Web API. @throws {@link SlackRefusal} */
  call<T = Record<string, unknown>>(method: string, args: Record<string, unknown>, options?: CallOptions): Promise<T>;
  /** Uploads a file that stands in no channel yet; its id. Slack looks at it before it can be shown. */
  upload(file: Upload): Promise<string>;
  /** Posts to a response URL, which takes five posts in 30 minutes. @throws {@link SlackRefusal} */
  respond(url: string, body: Record<string, unknown>): Promise<void>;
}

export interface Upload {
  name: string;
  data: Uint8Array<ArrayBuffer>;
}

const codes =
  (...known: string[]) =>
  (error: unknown): boolean =>
    error instanceof SlackRefusal && known.includes(error.code);

/** The bot cannot speak here, and what to do about it is to invite it. */
export const isOutside = codes(
  "not_in_channel",
  "channel_not_found",
  "is_archived",
  "restricted_action",
  "no_permission",
);

/** Nothing will ever edit that message. */
export const isLost = codes(
  "message_not_found",
  "cant_update_message",
  "edit_window_closed",
  "not_in_channel",
  "channel_not_found",
  "is_archived",
  "account_inactive",
  "token_revoked",
  "invalid_auth",
  "not_authed",
  "used_url",
  "expired_url",
);

/** A block that Slack does not take: most often a file that it is not done with. */
export const isBadBlock = codes("invalid_blocks");

/** Too large for this workspace. */
export const isTooLarge = codes("file_too_large", "file_uploads_disabled", "storage_limit_reached", "413");

/** The workspace has thrown the app out, or its token was taken back. */
export const isUninstalled = codes("account_inactive", "token_revoked", "invalid_auth", "not_authed");
