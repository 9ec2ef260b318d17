import { vi } from "vitest";
import type { LocalJobs } from "../../src/bots/core/jobs.ts";
import type { DiscordDeps } from "../../src/bots/discord/deps.ts";
import { Gateway } from "../../src/bots/discord/gateway.ts";
import { discordDeps } from "../../src/bots/discord/process.ts";
import { APP_ID, BOT_TOKEN, type FakeMessage } from "../fakes/discord.ts";
import { FakeVignette } from "../fakes/vignette.ts";
import { TestClock } from "./clock.ts";
import { DiscordServer } from "./discord-server.ts";

/** discord.js holds back what is more than 50 requests in a second of real time; the double counts in the test's. */
const UNPACED = { globalRequestsPerSecond: 100_000 };

/** Discord, the API and time, all fake, and the real client between them. */
export class DiscordWorld {
  readonly clock: TestClock;
  readonly api: FakeVignette;
  readonly server: DiscordServer;
  readonly logged: Record<string, unknown>[] = [];
  #gateways: Gateway[] = [];

  private constructor(clock: TestClock, api: FakeVignette, server: DiscordServer) {
    this.clock = clock;
    this.api = api;
    this.server = server;
  }

  static async start({ shards = 1 } = {}): Promise<DiscordWorld> {
    const clock = new TestClock();
    return new DiscordWorld(clock, new FakeVignette({ now: clock.now }), await DiscordServer.start(clock.now, shards));
  }

  get discord() {
    return this.server.discord;
  }

  deps(): DiscordDeps & { jobs: LocalJobs } {
    return discordDeps({
      settings: { token: BOT_TOKEN, application: APP_ID, apiUrl: this.server.apiUrl },
      api: { url: this.api.url, apiKey: this.api.key, fetch: this.api.fetch as typeof fetch },
      log: (event) => void this.logged.push(event),
      clock: this.clock,
      random: () => 0.25,
      rest: { retries: 0, ...UNPACED },
    });
  }

  /** A new bot process, as it were. */
  async bot(): Promise<{ gateway: Gateway; deps: DiscordDeps & { jobs: LocalJobs } }> {
    const deps = this.deps();
    const { apiUrl } = this.server;
    const gateway = new Gateway({ token: BOT_TOKEN, apiUrl }, deps, {
      rest: { api: apiUrl, version: "10", ...UNPACED },
    });
    await gateway.start();
    this.#gateways.push(gateway);
    return { gateway, deps };
  }

  /** Sends an interaction and waits until it is answered. */
  async send(fields: Record<string, unknown>, options?: { userInstalled?: boolean; dm?: boolean }) {
    const payload = this.discord.interaction(fields, options);
    this.server.dispatch(payload);
    await until(() => this.discord.of(payload).ackedAt !== null);
    return payload;
  }

  /** `/imagine`, up to the moment that the API has taken it. */
  async imagine(options: Record<string, unknown>, more: Record<string, unknown> = {}) {
    const before = this.api.created;
    const payload = await this.send(this.discord.command("imagine", options, more));
    await until(() => this.api.created > before);
    return { payload, id: this.api.last().id, message: this.discord.messageOf(payload) };
  }

  /** `/imagine` to the picture. */
  async draw(options: Record<string, unknown>, more: Record<string, unknown> = {}) {
    const job = await this.imagine(options, more);
    this.api.succeed(job.id);
    await this.shown(job.message, /Drawn in/);
    return job;
  }

  /** Lets time pass until a message says this. */
  async shown(message: { content: string }, text: RegExp): Promise<void> {
    await until(() => {
      if (text.test(message.content)) return true;
      this.clock.advance(250);
      return false;
    });
  }

  /** The message beside an interaction's answer, which only the asker sees, once it says this. */
  async whispered(payload: Record<string, unknown>, text: RegExp): Promise<FakeMessage> {
    const find = () => this.discord.of(payload).followUps.find(({ content }) => text.test(content));
    await until(() => {
      if (find()) return true;
      this.clock.advance(250);
      return false;
    });
    const message = find() as FakeMessage;
    if (!(message.flags & 64)) throw new Error("everybody sees it");
    return message;
  }

  async stop(): Promise<void> {
    // What waits for a moment of the test's clock must see it come.
    const ticking = setInterval(() => this.clock.advance(5_000), 5);
    this.api.release();
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()));
    clearInterval(ticking);
    await this.server.stop();
  }
}

export const until = (condition: () => boolean): Promise<unknown> =>
  vi.waitUntil(condition, { timeout: 20_000, interval: 5 });

export const labels = (message: { components: { components: { label: string }[] }[] }) =>
  message.components.flatMap((row) => row.components.map(({ label }) => label));
