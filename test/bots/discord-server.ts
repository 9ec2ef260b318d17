import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { APP_ID, BOT_TOKEN, FakeDiscord, GUILD } from "../fakes/discord.ts";
import { serve } from "./http.ts";

/** The fake with its gateway (discord-api-docs: events/gateway), for the real discord.js. */
export class DiscordServer {
  readonly discord: FakeDiscord;
  readonly apiUrl: string;
  readonly #sockets: WebSocketServer;
  readonly #close: () => Promise<void>;
  #socket: WebSocket | null = null;
  #sequence = 0;
  resumes = 0;
  identifies = 0;
  /** Which of how many shards connected. */
  readonly shards: [number, number][] = [];

  private constructor(discord: FakeDiscord, apiUrl: string, sockets: WebSocketServer, close: () => Promise<void>) {
    this.discord = discord;
    this.apiUrl = apiUrl;
    this.#sockets = sockets;
    this.#close = close;
    sockets.on("connection", (socket) => this.#connect(socket));
  }

  /** @param shards how many the double recommends */
  static async start(now: () => number, shards = 1): Promise<DiscordServer> {
    const discord = new FakeDiscord(now);
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => sockets.once("listening", resolve));
    const url = `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`;
    const { origin, close } = await serve(async (request) =>
      new URL(request.url).pathname.endsWith("/gateway/bot")
        ? Response.json({
            url,
            shards,
            session_start_limit: { total: 1000, remaining: 1000, reset_after: 0, max_concurrency: shards },
          })
        : discord.fetch(request),
    );
    return new DiscordServer(discord, `${origin}/api`, sockets, close);
  }

  /** Dispatches an interaction to whoever is connected. */
  dispatch(payload: Record<string, unknown>): void {
    this.#send({ op: 0, t: "INTERACTION_CREATE", s: ++this.#sequence, d: payload });
  }

  /** Asks the client to come back and resume. */
  reconnect(): void {
    this.#send({ op: 7, d: null });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    await new Promise<void>((resolve) => this.#sockets.close(() => resolve()));
    await this.#close();
  }

  #send(message: object): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #connect(socket: WebSocket): void {
    this.#socket = socket;
    const send = (message: object) => socket.send(JSON.stringify(message));
    socket.send(JSON.stringify({ op: 10, d: { heartbeat_interval: 41_250 } }));
    socket.on("message", (data) => {
      const { op, d } = JSON.parse(String(data)) as { op: number; d: { token?: string; shard?: [number, number] } };
      if (op === 1) send({ op: 11 });
      if (op === 6) {
        this.resumes++;
        send({ op: 0, t: "RESUMED", s: ++this.#sequence, d: {} });
      }
      if (op !== 2) return;
      if (d.token !== BOT_TOKEN) return socket.close(4004);
      this.identifies++;
      if (d.shard) this.shards.push(d.shard);
      send({
        op: 0,
        t: "READY",
        s: ++this.#sequence,
        d: {
          v: 10,
          user: { id: APP_ID, username: "vignette", discriminator: "0", avatar: null, bot: true },
          guilds: [{ id: GUILD, unavailable: true }],
          session_id: "session",
          resume_gateway_url: `ws://127.0.0.1:${(this.#sockets.address() as AddressInfo).port}`,
          application: { id: APP_ID, flags: 0 },
        },
      });
    });
  }
}
