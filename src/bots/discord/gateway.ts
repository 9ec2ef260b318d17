import { Client, DiscordAPIError, Events, GatewayIntentBits, REST, type RESTOptions, Routes } from "discord.js";
import type { LocalJobs } from "../core/jobs.ts";
import type { DiscordDeps } from "./deps.ts";
import { answer } from "./handler.ts";
import type { Interaction } from "./payload.ts";
import type { CommandStore } from "./register.ts";
import { DiscordRefusal, type Upload, type Wire } from "./wire.ts";

export interface GatewayOptions {
  token: string;
  /** Discord's API, such as `https://discord.com/api`. */
  apiUrl: string;
}

/** Discord's API through discord.js, which waits out its rate limits. */
export function wireOf(rest: REST): Wire {
  const call = async <T>(work: Promise<unknown>): Promise<T> => {
    try {
      return (await work) as T;
    } catch (error) {
      if (error instanceof DiscordAPIError) throw new DiscordRefusal(error.status, Number(error.code));
      throw error;
    }
  };
  const sent = (files: Upload[]) => files.map(({ name, contentType, data }) => ({ name, contentType, data }));
  return {
    original: ({ application, token }) => call(rest.get(Routes.webhookMessage(application, token), { auth: false })),
    editOriginal: ({ application, token }, body, files) =>
      call(rest.patch(Routes.webhookMessage(application, token), { auth: false, body, files: sent(files) })),
    deleteOriginal: ({ application, token }) =>
      call(rest.delete(Routes.webhookMessage(application, token), { auth: false })),
    followUp: ({ application, token }, body) =>
      call(rest.post(Routes.webhook(application, token), { auth: false, body })),
    editMessage: (channel, message, body, files) =>
      call(rest.patch(Routes.channelMessage(channel, message), { body, files: sent(files) })),
  };
}

export function commandStore(rest: REST, application: string): CommandStore {
  return {
    list: async () =>
      (await rest.get(`${Routes.applicationCommands(application)}?with_localizations=true`)) as unknown[],
    replace: async (body) => void (await rest.put(Routes.applicationCommands(application), { body })),
  };
}

export function restOf({ token, apiUrl }: GatewayOptions, options: Partial<RESTOptions> = {}): REST {
  return new REST({ api: apiUrl, version: "10", ...options }).setToken(token);
}

/** The bot as one long-lived process. */
export class Gateway {
  readonly #client: Client;
  readonly #deps: DiscordDeps & { jobs: LocalJobs };
  readonly #token: string;
  readonly #working = new Set<Promise<void>>();
  /** The same interaction may be dispatched again after a RESUME. */
  readonly #seen = new Set<string>();
  #taking = true;

  constructor({ token, apiUrl }: GatewayOptions, deps: DiscordDeps & { jobs: LocalJobs }, options: object = {}) {
    this.#token = token;
    this.#deps = deps;
    this.#client = new Client({
      intents: [GatewayIntentBits.Guilds],
      allowedMentions: { parse: [] },
      rest: { api: apiUrl, version: "10" },
      waitGuildTimeout: 0,
      // As many as Discord recommends: from 2,500 servers on one connection is not enough.
      shards: "auto",
      ...options,
    });
    // The payload as it came: the edge's transport gets the same, so both go one way from here.
    this.#client.ws.on("INTERACTION_CREATE" as never, ((payload: Interaction) => this.#take(payload)) as never);
    this.#client.on(Events.Error, (error) => deps.log({ event: "gateway_error", error: error.name }));
  }

  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => this.#client.once(Events.ClientReady, () => resolve()));
    await this.#client.login(this.#token);
    await ready;
  }

  /** Takes nothing new, lets go of what goes on without it, and says goodbye. */
  async stop(): Promise<void> {
    this.#taking = false;
    await this.#deps.jobs.close();
    await Promise.all(this.#working);
    await this.#client.destroy();
  }

  #take(interaction: Interaction): void {
    if (!this.#taking || this.#seen.has(interaction.id)) return;
    this.#seen.add(interaction.id);
    if (this.#seen.size > 10_000) this.#seen.delete(this.#seen.values().next().value ?? "");
    const work = this.#handle(interaction).catch((error: unknown) =>
      this.#deps.log({ event: "answer_failed", interaction: interaction.id, error: String(error) }),
    );
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }

  async #handle(interaction: Interaction): Promise<void> {
    const { callback, work } = await answer(this.#deps, interaction);
    const { id, token } = interaction;
    await this.#client.rest.post(Routes.interactionCallback(id, token), { auth: false, body: callback });
    await work?.();
  }
}
