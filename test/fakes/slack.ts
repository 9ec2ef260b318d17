import { checkBlocks, checkView, Malformed } from "./slack-blocks.ts";
import { SlackPeople } from "./slack-people.ts";
import {
  APP_TOKEN,
  BOT_TOKEN,
  BOT_USER,
  type Body,
  CHANNEL,
  CLIENT,
  type FakeFile,
  type FakeSlackMessage,
  FILE_BYTES,
  Limited,
  POSTING,
  Refused,
  SCOPES,
  TEAM,
  TIERS,
  TRIGGER_MS,
  URL_MS,
  URL_USES,
  USER,
  WINDOW_MS,
  type Workspace,
} from "./slack-state.ts";

export { buttonsOf, picturesOf, saidIn } from "./slack-read.ts";
export {
  APP_TOKEN,
  BOT_TOKEN,
  BOT_USER,
  CHANNEL,
  CLIENT,
  type FakeDelivery,
  type FakeFile,
  type FakeSlackMessage,
  TEAM,
  USER,
} from "./slack-state.ts";

/**
 * Slack's Web API, upload and response addresses for one app, as strict as the real ones: 3 s to answer and to open a form,
 * five posts in 30 min through a response URL, tiers, scopes, membership, Block Kit's bounds, files that are not ready at
 * once. Its clock is the test's. Both transports deliver what it makes.
 */
export class FakeSlack extends SlackPeople {
  readonly messages: FakeSlackMessage[] = [];
  readonly files = new Map<string, FakeFile>();
  /** How often it answered 429. */
  limited = 0;
  /** Every call, as `method`. */
  readonly calls: string[] = [];
  /** Answers to give instead of the next ones. */
  readonly faults: { match: RegExp; status?: number; error?: string; retryAfter?: number }[] = [];
  appToken = APP_TOKEN;
  /** How often a new file must be looked at before it is ready. */
  looks = 2;
  readonly #spent = new Map<string, number[]>();
  readonly #posting = new Map<string, { tokens: number; at: number }>();
  readonly #codes = new Map<string, string>();

  constructor(now: () => number) {
    super(now);
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

  /** Everybody's messages and the ephemeral ones that are there, oldest first. */
  get shown(): FakeSlackMessage[] {
    return this.messages.filter(({ deleted }) => !deleted);
  }

  /** A code as the page of installation hands out. */
  code(team: string): string {
    const code = this.id("code");
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
      return { url: `${this.origin.replace("http", "ws")}/link/?ticket=${this.id("t")}` };
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
    const now = this.now();
    const recent = (this.#spent.get(name) ?? []).filter((at) => at > now - WINDOW_MS);
    if (recent.length >= tier) throw new Limited(((recent[0] ?? now) + WINDOW_MS - now) / 1000);
    this.#spent.set(name, [...recent, now]);
  }

  #spendPost({ team }: Workspace, channel: string): void {
    const name = `${team} ${channel}`;
    const now = this.now();
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
          id: this.id("F"),
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
        const trigger = this.triggers.get(args.trigger_id ?? "");
        if (!trigger) throw new Refused("invalid_trigger_id");
        if (trigger.used) throw new Refused("exchanged_trigger_id");
        if (this.now() - trigger.at > TRIGGER_MS) throw new Refused("expired_trigger_id");
        trigger.used = true;
        const view = checkView(parsed(args.view) as unknown as Body, ["modal"], this.#checks(team));
        const id = this.id("V");
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
    const known = this.urls.get(id);
    const refuse = (error: string, status = 404) => {
      this.refusals.push(`response_url ${error}`);
      return Response.json({ ok: false, error }, { status });
    };
    if (!known || this.now() - known.at > URL_MS) return refuse("expired_url");
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
    const ts = `${Math.floor(this.now() / 1000)}.${this.id("").padStart(6, "0")}`;
    return { team, channel, ts, thread, to, text: "", blocks: [], edits: [], deleted: false };
  }

  #write(message: FakeSlackMessage, text: string | undefined, blocks: Body[]): void {
    if (!text) throw new Error("a message without the text that screen readers and notifications read");
    if (/<[@#!]|<https?:/.test(text)) throw new Error(`a text that may ping: ${text}`);
    if (text.length > 40_000) throw new Refused("msg_too_long");
    checkBlocks(blocks, this.#checks(message.team));
    Object.assign(message, { text, blocks });
    message.edits.push({ at: this.now(), text, blocks });
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
