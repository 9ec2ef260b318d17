// What Slack knows: messages, files, workspaces, and its bounds on calls.

/** A message as the fake keeps it, with everything that was ever shown in it. */
export interface FakeSlackMessage {
  team: string;
  channel: string;
  ts: string;
  thread: string | null;
  /** The only one who sees it; null for everybody. */
  to: string | null;
  text: string;
  blocks: Body[];
  edits: { at: number; text: string; blocks: Body[] }[];
  deleted: boolean;
}

export interface FakeFile {
  id: string;
  team: string;
  name: string;
  length: number;
  bytes: number;
  /** Looks at it until Slack is done with it; it never is where this is infinite. */
  looks: number;
  completed: boolean;
  deleted: boolean;
}

export interface Channel {
  kind: "public" | "private" | "im";
  member: boolean;
  archived: boolean;
}

export interface Workspace {
  team: string;
  token: string;
  scopes: Set<string>;
  users: Map<string, { locale: string; is_admin: boolean }>;
  channels: Map<string, Channel>;
  homes: Map<string, Body>;
}

/** Something that Slack delivers, and what was answered. */
export interface FakeDelivery {
  id: string;
  kind: "slash_commands" | "interactive" | "events_api";
  payload: Body;
  at: number;
  ackedAt: number | null;
  ack: Body;
}

export interface ResponseUrl {
  at: number;
  uses: number;
  team: string;
  channel: string;
  user: string;
  /** The pressed message, or what was last posted through it. */
  message: FakeSlackMessage | null;
}

export type Body = Record<string, unknown>;

export const TEAM = "T0000000001";
export const CHANNEL = "C0000000001";
export const USER = "U0000000042";
export const BOT_USER = "U0000000099";
export const BOT_TOKEN = "xoxb-1-for-tests-only";
export const APP_TOKEN = "xapp-1-for-tests-only";
export const CLIENT = { id: "111.222", secret: "0123456789abcdef0123456789abcdef" };
export const ACK_MS = 3_000;
export const TRIGGER_MS = 3_000;
export const URL_MS = 30 * 60_000;
export const URL_USES = 5;
export const FILE_BYTES = 1024 * 1024 * 1024;
export const WINDOW_MS = 60_000;

/** Calls a minute in one workspace (docs.slack.dev/apis/web-api/rate-limits). */
export const TIERS: Record<string, number> = {
  "chat.update": 50,
  "chat.delete": 50,
  "reactions.get": 50,
  "files.delete": 50,
  "chat.postEphemeral": 100,
  "files.getUploadURLExternal": 100,
  "files.completeUploadExternal": 100,
  "files.info": 100,
  "users.info": 100,
  "views.open": 100,
  "views.update": 100,
  "views.publish": 100,
  "auth.test": 1000,
};
/** Posting in one channel: one a second, with a short burst. */
export const POSTING = { burst: 4, perSecond: 1 };

export const SCOPES: Record<string, string> = {
  "chat.postMessage": "chat:write",
  "chat.postEphemeral": "chat:write",
  "chat.update": "chat:write",
  "chat.delete": "chat:write",
  "reactions.get": "reactions:read",
  "files.delete": "files:write",
  "files.getUploadURLExternal": "files:write",
  "files.completeUploadExternal": "files:write",
  "files.info": "files:read",
  "users.info": "users:read",
};

/** Slack's `ok:false`. */
export class Refused extends Error {
  readonly extra: Body;
  constructor(error: string, extra: Body = {}) {
    super(error);
    this.extra = extra;
  }
}
export class Limited extends Error {
  readonly seconds: number;
  constructor(seconds: number) {
    super("limited");
    this.seconds = seconds;
  }
}
