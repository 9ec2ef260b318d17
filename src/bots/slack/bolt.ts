import {
  App,
  type Installation as BoltInstallation,
  ErrorCode,
  HTTPReceiver,
  type InstallationStore,
  SocketModeReceiver,
} from "@slack/bolt";
import type { SlackSettings } from "../settings.ts";
import type { SlackDeps } from "./deps.ts";
import { answer } from "./handler.ts";
import { type Installations, nameOfInstallation } from "./installations.ts";
import { SCOPES } from "./limits.ts";
import { quiet } from "./logger.ts";
import { askOf, type Delivery, type SlackCommand, type SlackEvent, type SlackInteraction } from "./payload.ts";
import { nameOf } from "./place.ts";

/** Where Slack sends what; the edge answers at the same addresses. */
const ENDPOINTS = ["/slack/events", "/slack/commands", "/slack/interactions"];
const REMEMBERED = 10_000;
const GOODBYE_MS = 2_000;
const RECONNECT_MS = 30_000;

export interface BoltOptions {
  settings: SlackSettings;
  deps: SlackDeps;
  /** Whose bot it is where it has one token; null where workspaces install it. */
  self: { bot: string; botUser: string } | null;
  installations: Installations | null;
  /** Milliseconds between two tries to connect, and for an answer to a ping. */
  clientPingTimeout?: number;
}

/** Bolt with its receiver: Slack's signatures, envelopes, installations and acknowledgements are its own; all else is ours. */
export class Bolt {
  readonly #app: App;
  readonly #receiver: HTTPReceiver | SocketModeReceiver;
  readonly #options: BoltOptions;
  readonly #working = new Set<Promise<void>>();
  /** Slack delivers again what it thinks was lost. */
  readonly #seen = new Set<string>();
  #taking = true;
  readonly #stopped = new AbortController();

  constructor(options: BoltOptions) {
    const { settings, deps, self, installations, clientPingTimeout } = options;
    this.#options = options;
    const logger = quiet(deps.log);
    const oauth = settings.oauth;
    const shared = {
      logger,
      ...(oauth && installations
        ? {
            clientId: oauth.clientId,
            clientSecret: oauth.clientSecret,
            stateSecret: oauth.encryptionKey,
            scopes: [...SCOPES],
            installationStore: storeOf(installations),
            installerOptions: {
              directInstall: true,
              port: settings.port,
              authorizationUrl: oauth.authorizeUrl,
              clientOptions: { slackApiUrl: settings.apiUrl },
            },
          }
        : { installerOptions: { clientOptions: { slackApiUrl: settings.apiUrl } } }),
    };
    this.#receiver = settings.appToken
      ? new SocketModeReceiver({
          ...shared,
          appToken: settings.appToken,
          ...(clientPingTimeout === undefined ? {} : { clientPingTimeout }),
        })
      : new HTTPReceiver({
          ...shared,
          signingSecret: settings.signingSecret ?? "",
          endpoints: ENDPOINTS,
          port: settings.port,
        });
    this.#app = new App({
      receiver: this.#receiver,
      socketMode: settings.appToken !== null,
      logger,
      convoStore: false,
      clientOptions: { slackApiUrl: settings.apiUrl },
      // What is known already: otherwise every answer would wait for auth.test.
      ...(self ? { token: settings.botToken ?? "", botId: self.bot, botUserId: self.botUser } : {}),
    });
    this.#app.error(async (error) => {
      deps.log({ event: "bolt_error", error: nameOf(error) });
      // The receiver refuses a workspace that never installed the app; everything else is acknowledged.
      if (error.code === ErrorCode.AuthorizationError) throw error;
    });
    // Every payload as it came: the edge's transport gets the same, so both go one way from here.
    this.#app.use(async ({ body, ...rest }) => {
      const ack = (rest as { ack?: (response?: never) => Promise<void> }).ack;
      await this.#take(deliveryOf(body), ack as (response?: object) => Promise<void>);
    });
  }

  /** Connects, or listens. @returns the port that it listens on, if it does */
  async start(): Promise<number | null> {
    const started = await this.#app.start(this.#options.settings.port);
    if (this.#receiver instanceof SocketModeReceiver) {
      this.#keepConnected(this.#receiver.client);
      return null;
    }
    const address = (started as { address(): { port: number } | string | null }).address();
    return typeof address === "object" ? (address?.port ?? null) : null;
  }

  /** Takes nothing new, lets what goes on without it go, and says goodbye. */
  async stop(letGo: () => Promise<void>): Promise<void> {
    this.#taking = false;
    this.#stopped.abort();
    await letGo();
    await Promise.all(this.#working);
    if (this.#receiver instanceof SocketModeReceiver) {
      // The receiver's own stop returns before the connection is closed.
      const closed = this.#receiver.client.disconnect();
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref())]);
    }
    await this.#app.stop().catch(() => {});
  }

  /**
   * Bolt's client lets a reconnection that fails end in an unhandled rejection, which would end this process
   * (node-slack-sdk#2656): it is told, and tried again, until the bot stops.
   */
  #keepConnected(client: SocketModeReceiver["client"]): void {
    const { deps } = this.#options;
    const connect = client.start.bind(client);
    client.start = async () => {
      for (;;) {
        try {
          return await connect();
        } catch (error) {
          if (!this.#taking) return { ok: false };
          deps.log({ event: "reconnect_failed", error: reasonOf(error) });
          await deps.clock.sleep(RECONNECT_MS, this.#stopped.signal);
          if (!this.#taking) return { ok: false };
        }
      }
    };
  }

  async #take(delivery: Delivery | null, ack?: (response?: object) => Promise<void>): Promise<void> {
    const { deps } = this.#options;
    if (!delivery || !this.#taking) return ack?.();
    const { request } = askOf(delivery, 0);
    if (this.#seen.has(request)) return ack?.();
    this.#seen.add(request);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value ?? "");
    const { ack: response, urgent, work } = answer(deps, delivery);
    await ack?.(response);
    const running = (async () => {
      await urgent?.();
      await work?.();
    })().catch((error: unknown) => deps.log({ event: "answer_failed", request, error: nameOf(error) }));
    this.#working.add(running);
    void running.finally(() => this.#working.delete(running));
  }
}

/** Slack's word for a refusal, such as `invalid_auth` when the app token was taken back. */
const reasonOf = (error: unknown): string =>
  (error as { data?: { error?: string } } | undefined)?.data?.error ?? nameOf(error);

function deliveryOf(body: object): Delivery | null {
  const { type, command } = body as { type?: string; command?: string };
  if (command !== undefined) return { kind: "command", body: body as SlackCommand };
  if (type === "event_callback") return { kind: "event", body: body as SlackEvent };
  if (type === "block_actions" || type === "message_action" || type === "view_submission")
    return { kind: "interaction", body: body as SlackInteraction };
  return null;
}

/** Our sealed store as Bolt's. */
function storeOf(installations: Installations): InstallationStore {
  const workspaceOf = (query: { teamId: string | undefined; enterpriseId: string | undefined }, wide: boolean) => ({
    team: query.teamId ?? "",
    org: wide ? (query.enterpriseId ?? null) : null,
  });
  return {
    async storeInstallation({ team, enterprise, bot, isEnterpriseInstall }) {
      if (!bot) throw new Error("The installation has no bot.");
      const workspace = { team: team?.id ?? "", org: isEnterpriseInstall ? (enterprise?.id ?? null) : null };
      await installations.save({ ...workspace, token: bot.token, botUser: bot.userId, bot: bot.id });
    },
    async fetchInstallation(query) {
      const found = await installations.find(workspaceOf(query, query.isEnterpriseInstall));
      if (!found)
        throw new Error(`No installation of ${nameOfInstallation(workspaceOf(query, query.isEnterpriseInstall))}.`);
      const { team, org, token, botUser, bot } = found;
      return {
        team: org === null ? { id: team } : undefined,
        enterprise: org === null ? undefined : { id: org },
        isEnterpriseInstall: org !== null,
        bot: { token, userId: botUser, id: bot, scopes: [...SCOPES] },
        user: { id: "", token: undefined, scopes: undefined },
      } as BoltInstallation as never;
    },
    async deleteInstallation(query) {
      await installations.remove(workspaceOf(query, query.isEnterpriseInstall));
    },
  };
}
