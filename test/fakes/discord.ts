/** A message as the fake keeps it, with everything that was ever shown in it. */
export interface FakeMessage {
  id: string;
  channel: string;
  content: string;
  flags: number;
  components: { type: number; components: { custom_id: string; label: string }[] }[];
  attachments: { filename: string; description?: string; bytes: number }[];
  edits: { at: number; content: string; by: "token" | "bot" }[];
  deleted: boolean;
}

interface FakeInteraction {
  id: string;
  token: string;
  createdAt: number;
  ackedAt: number | null;
  callback: { type: number; data?: Record<string, unknown> } | null;
  payload: Record<string, unknown>;
  message: FakeMessage | null;
  followUps: FakeMessage[];
  spends: number[];
  userInstalled: boolean;
}

type Body = Record<string, unknown>;
interface Part {
  filename: string;
  bytes: number;
}

export const APP_ID = "100000000000000001";
export const BOT_TOKEN = "MTk4.token.for-tests-only";
export const GUILD = "200000000000000001";
export const CHANNEL = "300000000000000001";
const ACK_MS = 3_000;
const TOKEN_MS = 15 * 60_000;
const FILE_BYTES = 10 * 1024 * 1024;

/** Discord refuses with a status and a JSON error code (discord-api-docs: topics/opcodes-and-status-codes). */
class Refused extends Error {
  readonly status: number;
  readonly code: number;
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Discord's REST API for one application, as strict as the real one: 3 s to answer, 15 min for a token, message limits,
 * five requests in 5 s for a token. Its clock is the test's.
 */
export class FakeDiscord {
  readonly interactions = new Map<string, FakeInteraction>();
  readonly messages = new Map<string, FakeMessage>();
  commands: Body[] = [];
  commandWrites = 0;
  /** How often it answered 429. */
  limited = 0;
  /** Everything that was refused with 4xx, as `code message`. */
  readonly refusals: string[] = [];
  /** Answers to give instead of the next ones. */
  readonly faults: { match: RegExp; status: number; code?: number; retryAfter?: number }[] = [];
  readonly #now: () => number;
  #ids = 900_000_000_000_000_000n;

  constructor(now: () => number) {
    this.#now = now;
  }

  id(): string {
    this.#ids += 1n;
    return String(this.#ids);
  }

  /** An interaction as Discord dispatches it. */
  interaction(fields: Body, { userInstalled = false, dm = false } = {}): Body {
    const id = this.id();
    const token = `token-${id}-${"x".repeat(150)}`;
    const user = { id: "42", username: "ada", discriminator: "0", avatar: null, global_name: "Ada" };
    const payload: Body = {
      id,
      application_id: APP_ID,
      token,
      version: 1,
      channel_id: CHANNEL,
      channel: { id: CHANNEL, type: dm ? 1 : 0, nsfw: false },
      locale: "en-US",
      entitlements: [],
      authorizing_integration_owners: userInstalled ? { "1": "42" } : { "0": GUILD },
      context: dm ? 1 : 0,
      app_permissions: String((1n << 10n) | (1n << 15n)),
      attachment_size_limit: FILE_BYTES,
      ...(dm
        ? { user }
        : { guild_id: GUILD, member: { user, roles: [], permissions: "0", joined_at: "2026-01-01T00:00:00Z" } }),
      ...fields,
    };
    this.interactions.set(token, {
      id,
      token,
      createdAt: this.#now(),
      ackedAt: null,
      callback: null,
      payload,
      message: null,
      followUps: [],
      spends: [],
      userInstalled,
    });
    return payload;
  }

  command(name: string, options: Record<string, unknown> = {}, more: Body = {}): Body {
    const given = Object.entries(options).map(([key, value]) => ({ name: key, type: 3, value }));
    return { type: 2, data: { id: "1", name, type: 1, options: given }, ...more };
  }

  /** A press of the button with this label on a message. */
  press(message: FakeMessage, label: string): Body {
    const button = message.components.flatMap((row) => row.components).find((one) => one.label === label);
    if (!button) throw new Error(`no button ${label} in: ${JSON.stringify(message.components)}`);
    const { id, content, flags, components } = message;
    return {
      type: 3,
      data: { custom_id: button.custom_id, component_type: 2 },
      message: { id, channel_id: message.channel, content, flags, components },
    };
  }

  of(payload: Body): FakeInteraction {
    const found = this.interactions.get(String(payload.token));
    if (!found) throw new Error("no such interaction");
    return found;
  }

  /** The message that answers an interaction. */
  messageOf(payload: Body): FakeMessage {
    const { message } = this.of(payload);
    if (!message) throw new Error("the interaction has no message");
    return message;
  }

  /** Takes an interaction's answer, as the callback endpoint and the HTTP transport do. */
  acknowledge(token: string, callback: { type: number; data?: Record<string, unknown> }): void {
    const interaction = this.interactions.get(token);
    if (!interaction || this.#now() - interaction.createdAt > ACK_MS)
      throw new Refused(404, 10062, "Unknown interaction");
    if (interaction.ackedAt !== null) throw new Refused(400, 40060, "Interaction has already been acknowledged.");
    this.#checkCallback(interaction, callback);
    interaction.ackedAt = this.#now();
    interaction.callback = callback;
    const source = (interaction.payload.message as { id?: string } | undefined)?.id;
    if (callback.type === 4 || callback.type === 5) {
      const message = this.#message(String(interaction.payload.channel_id), Number(callback.data?.flags ?? 0));
      if (callback.type === 4) this.#write(message, callback.data ?? {}, [], "token");
      interaction.message = message;
    } else if (callback.type === 6 || callback.type === 7)
      interaction.message = this.messages.get(source ?? "") ?? null;
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const path = decodeURIComponent(pathname).replace(/^\/api\/v10/, "");
    const line = `${request.method} ${path}`;
    const fault = this.faults.findIndex(({ match }) => match.test(line));
    if (fault >= 0) {
      const [{ status, code = 0, retryAfter } = { status: 500 }] = this.faults.splice(fault, 1);
      if (status === 429) return this.#limit(retryAfter ?? 0.5);
      return Response.json({ code, message: "injected" }, { status });
    }
    try {
      return (await this.#route(request, path)) ?? new Response(null, { status: 204 });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.code === -1) return this.#limit(5);
      this.refusals.push(`${error.code} ${error.message}`);
      return Response.json({ code: error.code, message: error.message }, { status: error.status });
    }
  };

  #limit(seconds: number): Response {
    this.limited++;
    return Response.json(
      { message: "You are being rate limited.", retry_after: seconds, global: false },
      { status: 429, headers: { "Retry-After": String(seconds), "X-RateLimit-Scope": "user", Via: "1.1 google" } },
    );
  }

  async #route(request: Request, path: string): Promise<Response | null> {
    const callback = /^\/interactions\/(\d+)\/([^/]+)\/callback$/.exec(path);
    if (callback && request.method === "POST") {
      this.acknowledge(callback[2] ?? "", (await request.json()) as { type: number });
      return null;
    }
    const webhook = /^\/webhooks\/(\d+)\/([^/]+?)(?:\/messages\/(@original|\d+))?$/.exec(path);
    if (webhook) return this.#webhook(request, webhook[1] ?? "", webhook[2] ?? "", webhook[3]);
    if (request.headers.get("Authorization") !== `Bot ${BOT_TOKEN}`) throw new Refused(401, 0, "401: Unauthorized");
    const channel = /^\/channels\/(\d+)\/messages\/(\d+)$/.exec(path);
    if (channel && request.method === "PATCH") {
      const message = this.messages.get(channel[2] ?? "");
      if (!message || message.deleted || message.flags & 64) throw new Refused(404, 10008, "Unknown Message");
      this.#write(message, ...(await read(request)), "bot");
      return Response.json(shown(message));
    }
    if (path === `/applications/${APP_ID}/commands`) {
      if (request.method === "GET") return Response.json(this.commands);
      this.commandWrites++;
      this.commands = checkCommands((await request.json()) as Body[]).map((command) => ({
        default_member_permissions: null,
        nsfw: false,
        ...command,
        id: this.id(),
        application_id: APP_ID,
        version: "1",
      }));
      return Response.json(this.commands);
    }
    throw new Refused(404, 0, `404: Not Found ${path}`);
  }

  async #webhook(request: Request, application: string, token: string, target: string | undefined) {
    if (application !== APP_ID) throw new Refused(404, 10015, "Unknown Webhook");
    const interaction = this.interactions.get(token);
    if (!interaction || interaction.ackedAt === null) throw new Refused(404, 10015, "Unknown Webhook");
    if (this.#now() - interaction.createdAt > TOKEN_MS) throw new Refused(401, 50027, "Invalid Webhook Token");
    interaction.spends.push(this.#now());
    if (interaction.spends.filter((at) => at > this.#now() - 5_000).length > 5) throw new Refused(429, -1, "limited");
    if (target === undefined) {
      if (interaction.userInstalled && interaction.followUps.length >= 5)
        throw new Refused(400, 40094, "This interaction has reached the maximum number of follow up messages");
      const [body, files] = await read(request);
      // Discord takes the first one for the answer that was promised, as visible as that was to be.
      const promised = interaction.callback?.type === 5 && interaction.message?.edits.length === 0;
      if (promised && interaction.message && !interaction.message.deleted) {
        this.#write(interaction.message, body, files, "token");
        return Response.json(shown(interaction.message));
      }
      const message = this.#message(String(interaction.payload.channel_id), Number(body.flags ?? 0));
      this.#write(message, body, files, "token");
      interaction.followUps.push(message);
      return Response.json(shown(message));
    }
    const { message } = interaction;
    if (!message || message.deleted) throw new Refused(404, 10008, "Unknown Message");
    if (request.method === "GET") return Response.json(shown(message));
    if (request.method === "DELETE") {
      message.deleted = true;
      return null;
    }
    this.#write(message, ...(await read(request)), "token");
    return Response.json(shown(message));
  }

  #message(channel: string, flags: number): FakeMessage {
    const message: FakeMessage = {
      id: this.id(),
      channel,
      content: "",
      flags,
      components: [],
      attachments: [],
      edits: [],
      deleted: false,
    };
    this.messages.set(message.id, message);
    return message;
  }

  #write(message: FakeMessage, body: Body, files: Part[], by: "token" | "bot"): void {
    checkMessage(body, files);
    if (body.content !== undefined) message.content = String(body.content);
    if (body.components !== undefined) message.components = body.components as FakeMessage["components"];
    if (body.attachments !== undefined)
      message.attachments = (body.attachments as { id: number; filename: string; description?: string }[]).map(
        ({ id, filename, description }) => ({
          filename,
          bytes: files[id]?.bytes ?? 0,
          ...(description === undefined ? {} : { description }),
        }),
      );
    message.edits.push({ at: this.#now(), content: message.content, by });
  }

  #checkCallback(interaction: FakeInteraction, { type, data = {} }: { type: number; data?: Body }): void {
    if (![1, 4, 5, 6, 7, 8, 9].includes(type)) throw invalid("type");
    if (type === 5 && Object.keys(data).some((name) => name !== "flags"))
      throw invalid("a deferral carries flags only");
    if (type === 9 && interaction.payload.type === 5) throw invalid("a modal cannot answer a modal");
    if ((type === 6 || type === 7) && !interaction.payload.message) throw invalid("there is no message to update");
    if (type === 4) checkMessage(data, []);
    if (type === 8 && (data.choices as unknown[]).length > 25) throw invalid("choices");
    if (type === 9) checkModal(data);
  }
}

const invalid = (what: string) => new Refused(400, 50035, `Invalid Form Body: ${what}`);
const shown = ({ id, channel, content, flags, components }: FakeMessage) => ({
  id,
  channel_id: channel,
  content,
  flags,
  components,
});

async function read(request: Request): Promise<[Body, Part[]]> {
  if (!request.headers.get("Content-Type")?.startsWith("multipart/form-data"))
    return [(await request.json()) as Body, []];
  const form = await request.formData();
  const files: Part[] = [];
  for (const [name, value] of form) {
    const [, index] = /^files\[(\d+)\]$/.exec(name) ?? [];
    if (index !== undefined && typeof value !== "string")
      files[Number(index)] = { filename: (value as File).name, bytes: (value as File).size };
  }
  return [JSON.parse(String(form.get("payload_json"))) as Body, files];
}

function checkMessage(body: Body, files: Part[]): void {
  const { content, components = [], attachments = [], allowed_mentions } = body;
  if (content !== undefined && Array.from(String(content)).length > 2000) throw invalid("content is longer than 2000");
  if (!allowed_mentions || (allowed_mentions as { parse: unknown[] }).parse.length > 0)
    throw new Error("a message that may ping");
  const rows = components as { type: number; components: Body[] }[];
  if (rows.length > 5) throw invalid("more than 5 rows");
  const ids = new Set<string>();
  for (const row of rows) {
    if (row.type !== 1 || row.components.length < 1 || row.components.length > 5) throw invalid("a row of 1 to 5");
    for (const { type, style, custom_id, label } of row.components) {
      if (type !== 2 || ![1, 2, 3, 4].includes(Number(style))) throw invalid("not a button");
      const id = String(custom_id ?? "");
      if (id.length < 1 || id.length > 100 || ids.has(id)) throw invalid("custom_id");
      if (String(label).length < 1 || String(label).length > 80) throw invalid("label");
      ids.add(id);
    }
  }
  const named = attachments as { id: number; filename: string; description?: string }[];
  for (const { id, filename, description = "" } of named) {
    if (files[id]?.filename !== filename) throw invalid(`attachment ${id} has no file ${filename}`);
    if (Array.from(description).length > 1024) throw invalid("alt text is longer than 1024");
  }
  if (files.some(({ bytes }) => bytes > FILE_BYTES)) throw new Refused(413, 40005, "Request entity too large");
}

function checkModal({ custom_id, title, components }: Body): void {
  if (String(custom_id).length > 100 || String(title).length > 45) throw invalid("modal");
  const labels = components as { type: number; label: string; component: Body }[];
  if (labels.length < 1 || labels.length > 5) throw invalid("1 to 5 components");
  for (const { type, label, component } of labels) {
    if (type !== 18 || label.length > 45 || component.type !== 4) throw invalid("a label with a text input");
    if (String(component.value ?? "").length > Number(component.max_length) || Number(component.max_length) > 4000)
      throw invalid("text longer than its field");
  }
}

function checkCommands(commands: Body[]): Body[] {
  for (const { name, type, description, options = [] } of commands) {
    if (type === 1 && !/^[-_\p{Ll}\p{N}]{1,32}$/u.test(String(name))) throw invalid(`name ${name}`);
    if (type === 1 && (String(description).length < 1 || String(description).length > 100))
      throw invalid("description");
    if (type === 3 && description) throw invalid("a message command has no description");
    const given = options as Body[];
    if (given.length > 25) throw invalid("options");
    for (const option of given) {
      if (option.autocomplete && option.choices) throw invalid("choices and autocomplete");
      if (!/^[-_\p{Ll}\p{N}]{1,32}$/u.test(String(option.name))) throw invalid("option name");
      if (String(option.description).length > 100) throw invalid("option description");
      if (Number(option.max_length ?? 0) > 6000) throw invalid("max_length");
    }
    if (JSON.stringify({ name, description, options: given.map((o) => [o.name, o.description]) }).length > 8000)
      throw invalid("8000 characters in all");
  }
  return commands;
}
