import { checkBlocks, checkView, Malformed } from "./slack-blocks.ts";

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

interface Channel {
  kind: "public" | "private" | "im";
  member: boolean;
  archived: boolean;
}

interface Workspace {
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

interface ResponseUrl {
  at: number;
  uses: number;
  team: string;
  channel: string;
  user: string;
  /** The pressed message, or what was last posted through it. */
  message: FakeSlackMessage | null;
}

type Body = Record<string, unknown>;

export const TEAM = "T0000000001";
export const CHANNEL = "C0000000001";
export const USER = "U0000000042";
export const BOT_USER = "U0000000099";
export const BOT_TOKEN = "xoxb-1-for-tests-only";
export const APP_TOKEN = "xapp-1-for-tests-only";
export const CLIENT = { id: "111.222", secret: "0123456789abcdef0123456789abcdef" };
const ACK_MS = 3_000;
const TRIGGER_MS = 3_000;
const URL_MS = 30 * 60_000;
const URL_USES = 5;
const FILE_BYTES = 1024 * 1024 * 1024;
const WINDOW_MS = 60_000;

/** Calls a minute in one workspace (docs.slack.dev/apis/web-api/rate-limits). */
const TIERS: Record<string, number> = {
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
const POSTING = { burst: 4, perSecond: 1 };

const SCOPES: Record<string, string> = {
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
class Refused extends Error {
  readonly extra: Body;
  constructor(error: string, extra: Body = {}) {
    super(error);
    this.extra = extra;
  }
}
class Limited extends Error {
  readonly seconds: number;
  constructor(seconds: number) {
    super("limited");
    this.seconds = seconds;
  }
}

/**
 * Slack's Web API, upload and response addresses for one app, as strict as the real ones: 3 s to answer and to open a form,
 * five posts in 30 min through a response URL, tiers, scopes, membership, Block Kit's bounds, files that are not ready at
 * once. Its clock is the test's. Both transports deliver what it makes.
 */
export class FakeSlack {
  readonly workspaces = new Map<string, Workspace>();
  readonly messages: FakeSlackMessage[] = [];
  readonly files = new Map<string, FakeFile>();
  readonly deliveries = new Map<string, FakeDelivery>();
  readonly views = new Map<string, Body>();
  /** How often it answered 429. */
  limited = 0;
  /** Everything that was refused, as `method error`. */
  readonly refusals: string[] = [];
  /** Every call, as `method`. */
  readonly calls: string[] = [];
  /** Answers to give instead of the next ones. */
  readonly faults: { match: RegExp; status?: number; error?: string; retryAfter?: number }[] = [];
  appToken = APP_TOKEN;
  /** How often a new file must be looked at before it is ready. */
  looks = 2;
  /** Where its addresses are. */
  origin = "http://slack.test";
  readonly #now: () => number;
  readonly #triggers = new Map<string, { at: number; used: boolean }>();
  readonly #urls = new Map<string, ResponseUrl>();
  readonly #spent = new Map<string, number[]>();
  readonly #posting = new Map<string, { tokens: number; at: number }>();
  readonly #codes = new Map<string, string>();
  #ids = 1000;

  constructor(now: () => number) {
    this.#now = now;
    this.install(TEAM, BOT_TOKEN);
  }

  /** A workspace that has the app. */
  install(team: string, token: string): Workspace {
    const workspace: Workspace = {
      team,
      token,
      scopes: new Set([...Object.values(SCOPES), "commands", "chat:write.public", "app_mentions:read"]),
      users: new Map([[USER, { locale: "en-US", is_admin: false }]]),
      channels: new Map([[CHANNEL, { kind: "public", member: true, archived: false }]]),
      homes: new Map(),
    };
    this.workspaces.set(team, workspace);
    return workspace;
  }

  workspace(team = TEAM): Workspace {
    const found = this.workspaces.get(team);
    if (!found) throw new Error(`no workspace ${team}`);
    return found;
  }

  #id(prefix: string): string {
    this.#ids++;
    return `${prefix}${this.#ids}`;
  }

  #trigger(): string {
    const id = `${this.#id("")}.2222.${"a".repeat(32)}`;
    this.#triggers.set(id, { at: this.#now(), used: false });
    return id;
  }

  #responseUrl(team: string, channel: string, user: string, message: FakeSlackMessage | null): string {
    const id = this.#id("r");
    this.#urls.set(id, { at: this.#now(), uses: 0, team, channel, user, message });
    return `${this.origin}/response/${id}`;
  }

  #deliver(kind: FakeDelivery["kind"], payload: Body): FakeDelivery {
    const delivery = { id: this.#id("e"), kind, payload, at: this.#now(), ackedAt: null, ack: {} };
    this.deliveries.set(delivery.id, delivery);
    return delivery;
  }

  command(text: string, { name = "/imagine", team = TEAM, channel = CHANNEL, user = USER } = {}): FakeDelivery {
    const inert = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    // Where the manifest says should_escape, people who are named come as ids.
    const slack = name === "/vignette" ? inert.replace(/@(U\w+)/g, "<@$1|somebody>") : inert;
    return this.#deliver("slash_commands", {
      token: "legacy",
      command: name,
      text: slack,
      trigger_id: this.#trigger(),
      response_url: this.#responseUrl(team, channel, user, null),
      team_id: team,
      team_domain: "test",
      channel_id: channel,
      channel_name: "general",
      user_id: user,
      user_name: "ada",
      api_app_id: "A1",
      is_enterprise_install: "false",
    });
  }

  /** A press of the button with this label on a message. */
  press(message: FakeSlackMessage, label: string, { user = USER } = {}): FakeDelivery {
    const button = buttonsOf(message.blocks).find((one) => one.label === label);
    if (!button) throw new Error(`no button ${label} in: ${JSON.stringify(message.blocks)}`);
    const { team, channel, ts, thread, to } = message;
    const shown = { type: "message", ts, user: BOT_USER, text: message.text, blocks: message.blocks };
    return this.#deliver("interactive", {
      type: "block_actions",
      team: { id: team, domain: "test" },
      user: { id: user, username: "ada", team_id: team },
      api_app_id: "A1",
      trigger_id: this.#trigger(),
      response_url: this.#responseUrl(team, channel, user, message),
      container: {
        type: "message",
        message_ts: ts,
        channel_id: channel,
        is_ephemeral: to !== null,
        ...(thread ? { thread_ts: thread } : {}),
      },
      channel: { id: channel, name: "general" },
      // Of a message that one person sees, Slack tells no more than its time.
      ...(to === null ? { message: thread ? { ...shown, thread_ts: thread } : shown } : {}),
      is_enterprise_install: false,
      actions: [{ type: "button", action_ts: "1.0", block_id: "b", ...button }],
    });
  }

  /** A press of a button on somebody's Home. */
  pressHome(label: string, { team = TEAM, user = USER } = {}): FakeDelivery {
    const view = this.workspace(team).homes.get(user);
    const button = buttonsOf((view?.blocks ?? []) as Body[]).find((one) => one.label === label);
    if (!button) throw new Error(`no button ${label} on the Home`);
    return this.#deliver("interactive", {
      type: "block_actions",
      team: { id: team },
      user: { id: user, team_id: team },
      trigger_id: this.#trigger(),
      container: { type: "view", view_id: "VH" },
      is_enterprise_install: false,
      actions: [{ type: "button", action_ts: "1.0", block_id: "b", ...button }],
    });
  }

  /** The message shortcut on somebody's message. */
  shortcut(callback_id: string, text: string, { team = TEAM, channel = CHANNEL, user = USER } = {}): FakeDelivery {
    return this.#deliver("interactive", {
      type: "message_action",
      callback_id,
      team: { id: team },
      user: { id: user, team_id: team },
      trigger_id: this.#trigger(),
      response_url: this.#responseUrl(team, channel, user, null),
      channel: { id: channel },
      message_ts: "1700000000.000100",
      message: { type: "message", ts: "1700000000.000100", user: "U7", text },
      is_enterprise_install: false,
    });
  }

  /** A form as it is sent. */
  submit(viewId: string, fields: Record<string, string>, { team = TEAM, user = USER } = {}): FakeDelivery {
    const view = this.views.get(viewId);
    if (!view) throw new Error(`no view ${viewId}`);
    const values = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, { [name]: { type: "plain_text_input", value } }]),
    );
    return this.#deliver("interactive", {
      type: "view_submission",
      team: { id: team },
      user: { id: user, team_id: team },
      trigger_id: this.#trigger(),
      view: { ...view, id: viewId, state: { values } },
      response_urls: [],
      is_enterprise_install: false,
    });
  }

  event(event: Body, { team = TEAM, id = this.#id("Ev") } = {}): FakeDelivery {
    return this.#deliver("events_api", {
      type: "event_callback",
      token: "legacy",
      team_id: team,
      api_app_id: "A1",
      event_id: id,
      event_time: Math.floor(this.#now() / 1000),
      authorizations: [
        { enterprise_id: null, team_id: team, user_id: BOT_USER, is_bot: true, is_enterprise_install: false },
      ],
      event,
    });
  }

  mention(text: string, { thread, team = TEAM, id }: { thread?: string; team?: string; id?: string } = {}) {
    const event = { type: "app_mention", user: USER, text: `<@${BOT_USER}> ${text}`, channel: CHANNEL };
    return this.event(
      { ...event, ts: "1700000001.000100", event_ts: "1.0", ...(thread ? { thread_ts: thread } : {}) },
      { team, ...(id ? { id } : {}) },
    );
  }

  /** Takes the answer to a delivery, as both transports do. */
  acknowledge(id: string, ack: Body = {}): void {
    const delivery = this.deliveries.get(id);
    if (!delivery) throw new Error(`nothing like ${id} was delivered`);
    if (delivery.ackedAt !== null) throw new Error(`${id} was answered twice`);
    if (this.#now() - delivery.at > ACK_MS) {
      this.refusals.push(`${delivery.kind} operation_timeout`);
      return;
    }
    if (delivery.payload.type === "view_submission" && ack.response_action === "errors") {
      const inputs = (((delivery.payload.view as Body).blocks ?? []) as Body[]).map(({ block_id }) => block_id);
      for (const name of Object.keys(ack.errors as Body))
        if (!inputs.includes(name)) throw new Error(`the form has no field ${name}`);
    } else if (Object.keys(ack).length > 0 && ack.response_type !== "ephemeral")
      throw new Error(`an answer that is none: ${JSON.stringify(ack)}`);
    delivery.ackedAt = this.#now();
    delivery.ack = ack;
  }

  /** Everybody's messages and the ephemeral ones that are there, oldest first. */
  get shown(): FakeSlackMessage[] {
    return this.messages.filter(({ deleted }) => !deleted);
  }

  /** A code as the page of installation hands out. */
  code(team: string): string {
    const code = this.#id("code");
    this.#codes.set(code, team);
    return code;
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url);
    const [, method = ""] = /^\/api\/([\w.]+)$/.exec(pathname) ?? [];
    const name = method || pathname.replace(/\/[^/]*$/, "");
    const fault = this.faults.findIndex(({ match }) => match.test(name));
    if (fault >= 0) {
      const [{ status = 200, error, retryAfter } = {}] = this.faults.splice(fault, 1);
      if (status === 429) return this.#limit(retryAfter ?? 1);
      return Response.json({ ok: false, error }, { status });
    }
    try {
      if (pathname.startsWith("/upload/")) return await this.#upload(request, pathname.slice(8));
      if (pathname.startsWith("/response/")) return await this.#respond(request, pathname.slice(10));
      if (pathname === "/oauth/v2/authorize") return this.#authorize(searchParams);
      this.calls.push(method);
      return Response.json({ ok: true, ...((await this.#call(request, method)) ?? {}) });
    } catch (error) {
      if (error instanceof Limited) return this.#limit(error.seconds);
      if (error instanceof Malformed) {
        this.refusals.push(`${method} invalid_blocks ${error.message}`);
        const messages = [`[ERROR] ${error.message}`];
        return Response.json({ ok: false, error: "invalid_blocks", response_metadata: { messages } });
      }
      if (!(error instanceof Refused)) throw error;
      this.refusals.push(`${method} ${error.message}`);
      return Response.json({ ok: false, error: error.message, ...error.extra });
    }
  };

  #limit(seconds: number): Response {
    this.limited++;
    return new Response("", { status: 429, headers: { "Retry-After": String(Math.ceil(seconds)) } });
  }

  /** The page on which an administrator allows the app, allowed at once. */
  #authorize(query: URLSearchParams): Response {
    if (query.get("client_id") !== CLIENT.id) return new Response("unknown client", { status: 400 });
    const back = new URL(query.get("redirect_uri") ?? `${this.origin}/nowhere`);
    back.searchParams.set("code", this.code("T0000000002"));
    back.searchParams.set("state", query.get("state") ?? "");
    return new Response(null, { status: 302, headers: { Location: back.href } });
  }

  async #call(request: Request, method: string): Promise<Body | undefined> {
    if (!request.headers.get("Content-Type")?.startsWith("application/x-www-form-urlencoded"))
      throw new Refused("invalid_form_data");
    const args = Object.fromEntries(new URLSearchParams(new TextDecoder().decode(await request.arrayBuffer())));
    const token = request.headers.get("Authorization")?.replace(/^Bearer /, "") ?? "";
    if (method === "apps.connections.open") {
      if (token !== this.appToken) throw new Refused("invalid_auth");
      return { url: `${this.origin.replace("http", "ws")}/link/?ticket=${this.#id("t")}` };
    }
    if (method === "oauth.v2.access") return this.#grant(request, args);
    const workspace = [...this.workspaces.values()].find((one) => one.token === token);
    if (!workspace) throw new Refused("invalid_auth");
    const needed = SCOPES[method];
    if (needed && !workspace.scopes.has(needed)) throw new Refused("missing_scope", { needed });
    this.#spend(workspace, method);
    return this.#method(workspace, method, args);
  }

  #spend({ team }: Workspace, method: string): void {
    const tier = TIERS[method];
    if (tier === undefined) return;
    const name = `${team} ${method}`;
    const now = this.#now();
    const recent = (this.#spent.get(name) ?? []).filter((at) => at > now - WINDOW_MS);
    if (recent.length >= tier) throw new Limited(((recent[0] ?? now) + WINDOW_MS - now) / 1000);
    this.#spent.set(name, [...recent, now]);
  }

  #spendPost({ team }: Workspace, channel: string): void {
    const name = `${team} ${channel}`;
    const now = this.#now();
    const { tokens, at } = this.#posting.get(name) ?? { tokens: POSTING.burst, at: now };
    const left = Math.min(POSTING.burst, tokens + ((now - at) / 1000) * POSTING.perSecond);
    if (left < 1) throw new Limited(1 - left);
    this.#posting.set(name, { tokens: left - 1, at: now });
  }

  #method(workspace: Workspace, method: string, args: Record<string, string>): Body | undefined {
    const { team } = workspace;
    switch (method) {
      case "auth.test":
        return { team_id: team, user_id: BOT_USER, bot_id: "B1", url: "https://test.slack.com/" };
      case "users.info": {
        const user = workspace.users.get(args.user ?? "");
        if (!user) throw new Refused("user_not_found");
        const { locale, is_admin } = user;
        return { user: { id: args.user, is_admin, ...(args.include_locale === "true" ? { locale } : {}) } };
      }
      case "chat.postMessage": {
        const channel = this.#place(workspace, args.channel ?? "");
        this.#spendPost(workspace, channel);
        const message = this.#message(team, channel, args.thread_ts ?? null, null);
        this.#write(message, args.text, parsed(args.blocks));
        this.messages.push(message);
        return { channel, ts: message.ts };
      }
      case "chat.postEphemeral": {
        const channel = this.#place(workspace, args.channel ?? "");
        if (!workspace.users.has(args.user ?? "")) throw new Refused("user_not_in_channel");
        const message = this.#message(team, channel, args.thread_ts ?? null, args.user ?? null);
        this.#write(message, args.text, parsed(args.blocks));
        this.messages.push(message);
        return { message_ts: message.ts };
      }
      case "chat.update": {
        const message = this.#own(workspace, args.channel, args.ts);
        this.#write(message, args.text, parsed(args.blocks));
        return { channel: message.channel, ts: message.ts };
      }
      case "chat.delete":
        this.#own(workspace, args.channel, args.ts).deleted = true;
        return {};
      case "reactions.get": {
        const { ts, text, blocks } = this.#own(workspace, args.channel, args.timestamp);
        return { type: "message", channel: args.channel, message: { type: "message", ts, text, blocks } };
      }
      case "files.getUploadURLExternal": {
        if (!args.filename || !/^[1-9]\d*$/.test(args.length ?? "")) throw new Refused("invalid_arguments");
        if (Number(args.length) > FILE_BYTES) throw new Refused("file_too_large");
        const file: FakeFile = {
          id: this.#id("F"),
          team,
          name: args.filename,
          length: Number(args.length),
          bytes: 0,
          looks: this.looks,
          completed: false,
          deleted: false,
        };
        this.files.set(file.id, file);
        return { file_id: file.id, upload_url: `${this.origin}/upload/${file.id}` };
      }
      case "files.completeUploadExternal": {
        const named = parsed(args.files) as { id: string }[];
        const files = named.map(({ id }) => this.#file(workspace, id));
        for (const file of files) {
          if (file.bytes !== file.length) throw new Refused("file_update_failed");
          file.completed = true;
        }
        // Slack says ok before it has looked at the file.
        return { files: files.map(({ id, name }) => ({ id, name, mimetype: "", shares: {} })) };
      }
      case "files.info": {
        const file = this.#file(workspace, args.file ?? "");
        if (!file.completed) throw new Refused("file_not_found");
        if (file.looks > 0) file.looks--;
        const mimetype = file.looks > 0 ? "" : mimeOf(file.name);
        return { file: { id: file.id, name: file.name, size: file.bytes, mimetype } };
      }
      case "files.delete":
        this.#file(workspace, args.file ?? "").deleted = true;
        return {};
      case "views.open": {
        const trigger = this.#triggers.get(args.trigger_id ?? "");
        if (!trigger) throw new Refused("invalid_trigger_id");
        if (trigger.used) throw new Refused("exchanged_trigger_id");
        if (this.#now() - trigger.at > TRIGGER_MS) throw new Refused("expired_trigger_id");
        trigger.used = true;
        const view = checkView(parsed(args.view) as unknown as Body, ["modal"], this.#checks(team));
        const id = this.#id("V");
        this.views.set(id, view);
        return { view: { ...view, id } };
      }
      case "views.update": {
        if (!this.views.has(args.view_id ?? "")) throw new Refused("not_found");
        this.views.set(
          args.view_id ?? "",
          checkView(parsed(args.view) as unknown as Body, ["modal"], this.#checks(team)),
        );
        return {};
      }
      case "views.publish":
        if (!workspace.users.has(args.user_id ?? "")) throw new Refused("user_not_found");
        workspace.homes.set(
          args.user_id ?? "",
          checkView(parsed(args.view) as unknown as Body, ["home"], this.#checks(team)),
        );
        return {};
      default:
        throw new Refused("unknown_method");
    }
  }

  async #grant(request: Request, args: Record<string, string>): Promise<Body> {
    const basic = request.headers.get("Authorization")?.replace(/^Basic /, "");
    const [id, secret] = basic ? atob(basic).split(":") : [args.client_id, args.client_secret];
    if (id !== CLIENT.id || secret !== CLIENT.secret) throw new Refused("bad_client_secret");
    const team = this.#codes.get(args.code ?? "");
    if (!team) throw new Refused("invalid_code");
    this.#codes.delete(args.code ?? "");
    const { token, scopes } = this.install(team, `xoxb-of-${team}`);
    return {
      app_id: "A1",
      authed_user: { id: USER },
      scope: [...scopes].join(","),
      token_type: "bot",
      access_token: token,
      bot_user_id: BOT_USER,
      team: { id: team, name: "Test" },
      enterprise: null,
      is_enterprise_install: false,
    };
  }

  /** Where a message goes: a channel that the bot may speak in, or a person's conversation with it. */
  #place({ channels, users, scopes }: Workspace, channel: string): string {
    if (channel.startsWith("U")) {
      if (!users.has(channel)) throw new Refused("channel_not_found");
      const im = `D${channel.slice(1)}`;
      channels.set(im, { kind: "im", member: true, archived: false });
      return im;
    }
    const found = channels.get(channel);
    if (!found || (found.kind !== "public" && !found.member)) throw new Refused("channel_not_found");
    if (found.archived) throw new Refused("is_archived");
    if (!found.member && !scopes.has("chat:write.public")) throw new Refused("not_in_channel");
    return channel;
  }

  #own({ team }: Workspace, channel: string | undefined, ts: string | undefined): FakeSlackMessage {
    const message = this.messages.find((one) => one.team === team && one.channel === channel && one.ts === ts);
    if (!message || message.deleted || message.to !== null) throw new Refused("message_not_found");
    return message;
  }

  #file({ team }: Workspace, id: string): FakeFile {
    const file = this.files.get(id);
    if (!file || file.team !== team || file.deleted) throw new Refused("file_not_found");
    return file;
  }

  async #upload(request: Request, id: string): Promise<Response> {
    const file = this.files.get(id);
    if (!file || file.completed) return new Response("no such upload", { status: 404 });
    const parts = [...(await request.formData())];
    const [[name, body] = ["", ""]] = parts;
    if (parts.length !== 1 || name !== "body" || typeof body === "string")
      return new Response("one part named body", { status: 400 });
    file.bytes = (body as File).size;
    if (file.bytes !== file.length) return new Response("another length", { status: 400 });
    return new Response(`OK - ${file.bytes}`);
  }

  async #respond(request: Request, id: string): Promise<Response> {
    const known = this.#urls.get(id);
    const refuse = (error: string, status = 404) => {
      this.refusals.push(`response_url ${error}`);
      return Response.json({ ok: false, error }, { status });
    };
    if (!known || this.#now() - known.at > URL_MS) return refuse("expired_url");
    if (known.uses >= URL_USES) return refuse("used_url");
    known.uses++;
    const body = (await request.json()) as Body;
    if (body.delete_original) {
      if (known.message) known.message.deleted = true;
      return Response.json({ ok: true });
    }
    try {
      const to = body.response_type === "in_channel" ? null : known.user;
      const replaced = body.replace_original && known.message && !known.message.deleted ? known.message : null;
      const message = replaced ?? this.#message(known.team, known.channel, null, to);
      this.#write(message, body.text as string, body.blocks as Body[]);
      if (!replaced) this.messages.push(message);
      known.message ??= message;
      return Response.json({ ok: true });
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      // A response URL says so with a status.
      known.uses--;
      return refuse("invalid_blocks");
    }
  }

  #message(team: string, channel: string, thread: string | null, to: string | null): FakeSlackMessage {
    const ts = `${Math.floor(this.#now() / 1000)}.${this.#id("").padStart(6, "0")}`;
    return { team, channel, ts, thread, to, text: "", blocks: [], edits: [], deleted: false };
  }

  #write(message: FakeSlackMessage, text: string | undefined, blocks: Body[]): void {
    if (!text) throw new Error("a message without the text that screen readers and notifications read");
    if (/<[@#!]|<https?:/.test(text)) throw new Error(`a text that may ping: ${text}`);
    if (text.length > 40_000) throw new Refused("msg_too_long");
    checkBlocks(blocks, this.#checks(message.team));
    Object.assign(message, { text, blocks });
    message.edits.push({ at: this.#now(), text, blocks });
  }

  #checks(team: string) {
    return {
      file: (id: string) => {
        const file = this.files.get(id);
        return file?.team === team && file.completed && !file.deleted && file.looks <= 0 ? mimeOf(file.name) : null;
      },
    };
  }
}

const parsed = (text: string | undefined): Body[] => (text === undefined ? [] : (JSON.parse(text) as Body[]));
const mimeOf = (name: string) => `image/${/\.jpe?g$/.test(name) ? "jpeg" : (/\.(\w+)$/.exec(name)?.[1] ?? "")}`;

interface FakeButton {
  action_id: string;
  label: string;
  value?: string;
}

export function buttonsOf(blocks: Body[]): FakeButton[] {
  return blocks.flatMap(({ type, elements }) =>
    type === "actions"
      ? (elements as Body[]).map(({ action_id, text, value }) => ({
          action_id: String(action_id),
          label: String((text as Body).text),
          ...(value === undefined ? {} : { value: String(value) }),
        }))
      : [],
  );
}

/** Everything that a message or view says, a line each. */
export function saidIn({ blocks }: { blocks: Body[] }): string {
  return blocks
    .flatMap(({ text, elements, fields, type }) => [
      ...(text ? [text] : []),
      ...(type === "context" ? (elements as unknown[]) : []),
      ...((fields as unknown[] | undefined) ?? []),
    ])
    .map((one) => String((one as Body).text))
    .join("\n");
}

/** The pictures in a message, by their alternative text. */
export function picturesOf({ blocks }: { blocks: Body[] }): { file: string | null; url: string | null; alt: string }[] {
  return blocks
    .filter(({ type }) => type === "image")
    .map(({ slack_file, image_url, alt_text }) => ({
      file: ((slack_file as Body | undefined)?.id as string | undefined) ?? null,
      url: (image_url as string | undefined) ?? null,
      alt: String(alt_text),
    }));
}
