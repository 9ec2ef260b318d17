import type { LocalJobs } from "../../src/bots/core/jobs.ts";
import type { SlackSettings } from "../../src/bots/settings.ts";
import { Bolt } from "../../src/bots/slack/bolt.ts";
import type { SlackDeps } from "../../src/bots/slack/deps.ts";
import { slackDeps } from "../../src/bots/slack/process.ts";
import { SLACK_SIGNING_SECRET } from "../fakes/chat-keys.ts";
import {
  APP_TOKEN,
  BOT_TOKEN,
  BOT_USER,
  buttonsOf,
  type FakeDelivery,
  type FakeSlackMessage,
  picturesOf,
  saidIn,
} from "../fakes/slack.ts";
import { requestOf } from "../fakes/slack-request.ts";
import { FakeVignette } from "../fakes/vignette.ts";
import { TestClock } from "./clock.ts";
import { until } from "./discord-bot.ts";
import { SlackServer } from "./slack-server.ts";

export type Transport = "socket" | "http";

/** Slack, the API and time, all fake, and the real Bolt between them. */
export class SlackWorld {
  readonly clock: TestClock;
  readonly api: FakeVignette;
  readonly server: SlackServer;
  readonly logged: Record<string, unknown>[] = [];
  #bots: { bolt: Bolt; deps: Deps }[] = [];
  #port: number | null = null;

  private constructor(clock: TestClock, api: FakeVignette, server: SlackServer) {
    this.clock = clock;
    this.api = api;
    this.server = server;
  }

  static async start(): Promise<SlackWorld> {
    const clock = new TestClock();
    return new SlackWorld(clock, new FakeVignette({ now: clock.now }), await SlackServer.start(clock.now));
  }

  get slack() {
    return this.server.slack;
  }

  settings(transport: Transport): SlackSettings {
    return {
      botToken: BOT_TOKEN,
      appToken: transport === "socket" ? APP_TOKEN : null,
      signingSecret: transport === "http" ? SLACK_SIGNING_SECRET : null,
      port: 0,
      apiUrl: this.server.apiUrl,
      oauth: null,
    };
  }

  /** A new bot process, as it were. */
  async bot(transport: Transport = "socket", { settings = this.settings(transport), clientPingTimeout = 5_000 } = {}) {
    const deps = await slackDeps({
      settings,
      api: { url: this.api.url, apiKey: this.api.key, fetch: this.api.fetch as typeof fetch },
      log: (event) => void this.logged.push(event),
      clock: this.clock,
      random: () => 0.25,
      retries: 0,
    });
    const self = settings.botToken ? { bot: "B1", botUser: BOT_USER } : null;
    const bolt = new Bolt({ settings, deps, self, installations: deps.installations, clientPingTimeout });
    this.#port = await bolt.start();
    const bot = { bolt, deps, stop: () => bolt.stop(() => deps.jobs.close()) };
    this.#bots.push(bot);
    return bot;
  }

  get port(): number | null {
    return this.#port;
  }

  /** Delivers and waits until it is answered. */
  async send(delivery: FakeDelivery): Promise<FakeDelivery> {
    if (this.#port === null) this.server.dispatch(delivery);
    else await this.post(delivery);
    await until(() => {
      if (delivery.ackedAt !== null) return true;
      this.clock.advance(1);
      return false;
    });
    return delivery;
  }

  /** As an HTTP request; an answer with 200 acknowledges. Bolt reads the time of the signature on the real clock. */
  async post(delivery: FakeDelivery, headers: Record<string, string> = {}): Promise<Response> {
    const { path, body, headers: signed } = await requestOf(delivery, Date.now());
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
      method: "POST",
      body,
      headers: { ...signed, ...headers },
    });
    if (response.ok) {
      const text = await response.text();
      this.slack.acknowledge(delivery.id, text ? (JSON.parse(text) as Record<string, unknown>) : {});
    }
    return response;
  }

  /** `/imagine`, up to the moment that the API has taken it. */
  async imagine(text: string, options: Parameters<SlackWorld["slack"]["command"]>[1] = {}) {
    const [before, shown] = [this.api.created, this.slack.messages.length];
    await this.send(this.slack.command(text, options));
    await this.passing(() => this.api.created > before);
    return { id: this.api.last().id, message: this.newest(shown) };
  }

  /** The newest message, which must be newer than the first so many. */
  newest(after = 0): FakeSlackMessage {
    const message = this.slack.messages.at(-1);
    if (!message || this.slack.messages.length <= after) throw new Error("no message was posted");
    return message;
  }

  /** `/imagine` to the picture. */
  async draw(text: string, options: Parameters<SlackWorld["slack"]["command"]>[1] = {}) {
    const job = await this.imagine(text, options);
    this.api.succeed(job.id);
    await this.shown(job.message, /Drawn in/);
    return job;
  }

  /** Lets time pass until a message says this. */
  async shown(message: FakeSlackMessage, text: RegExp): Promise<void> {
    await this.passing(() => text.test(saidIn(message)));
  }

  /** Lets time pass until something is so. */
  async passing(condition: () => boolean, step = 250): Promise<void> {
    await until(() => {
      if (condition()) return true;
      this.clock.advance(step);
      return false;
    });
  }

  /** The newest message that only one person sees. */
  async whispered(text: RegExp): Promise<FakeSlackMessage> {
    const find = () => this.slack.shown.findLast((message) => message.to !== null && text.test(saidIn(message)));
    await this.passing(() => find() !== undefined);
    return find() as FakeSlackMessage;
  }

  async stop(): Promise<void> {
    // What waits for a moment of the test's clock must see it come.
    const ticking = setInterval(() => this.clock.advance(5_000), 5);
    this.api.release();
    await Promise.all(this.#bots.map(({ bolt, deps }) => bolt.stop(() => deps.jobs.close())));
    clearInterval(ticking);
    await this.server.stop();
  }
}

type Deps = SlackDeps & { jobs: LocalJobs };

export const labels = (message: { blocks: Record<string, unknown>[] }) =>
  buttonsOf(message.blocks).map(({ label }) => label);
export { picturesOf, saidIn, until };
