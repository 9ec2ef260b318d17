import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { type FakeDelivery, FakeSlack } from "../fakes/slack.ts";
import { serve } from "./http.ts";

/** The fake with its sockets (docs.slack.dev/apis/events-api/using-socket-mode), for the real Bolt. */
export class SlackServer {
  readonly slack: FakeSlack;
  readonly apiUrl: string;
  readonly authorizeUrl: string;
  readonly #sockets: WebSocketServer;
  readonly #close: () => Promise<void>;
  #socket: WebSocket | null = null;
  /** How often somebody connected. */
  connections = 0;

  private constructor(slack: FakeSlack, sockets: WebSocketServer, close: () => Promise<void>) {
    this.slack = slack;
    this.apiUrl = `${slack.origin}/api/`;
    this.authorizeUrl = `${slack.origin}/oauth/v2/authorize`;
    this.#sockets = sockets;
    this.#close = close;
    sockets.on("connection", (socket) => this.#connect(socket));
  }

  static async start(now: () => number): Promise<SlackServer> {
    const slack = new FakeSlack(now);
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => sockets.once("listening", resolve));
    const { port } = sockets.address() as AddressInfo;
    const { origin, close } = await serve(async (request) => {
      const response = await slack.fetch(request);
      if (!request.url.endsWith("apps.connections.open")) return response;
      const answer = (await response.json()) as { url?: string };
      return Response.json(answer.url ? { ...answer, url: `ws://127.0.0.1:${port}/link/?ticket=1` } : answer);
    });
    slack.origin = origin;
    return new SlackServer(slack, sockets, close);
  }

  /** Delivers through the socket. */
  dispatch({ id, kind, payload }: FakeDelivery, retry?: { attempt: number; reason: string }): void {
    this.#socket?.send(
      JSON.stringify({
        envelope_id: id,
        type: kind,
        payload,
        accepts_response_payload: kind !== "events_api",
        ...(retry ? { retry_attempt: retry.attempt, retry_reason: retry.reason } : {}),
      }),
    );
  }

  /** Asks the client to come back, as Slack does every few hours. */
  refresh(): void {
    this.#socket?.send(JSON.stringify({ type: "disconnect", reason: "refresh_requested" }));
  }

  async stop(): Promise<void> {
    const open = [...this.#sockets.clients];
    // A client that has said goodbye waits for the answer; cut off, it would wait for 30 s.
    for (const socket of open) socket.close();
    await new Promise<void>((resolve) => this.#sockets.close(() => resolve()));
    await this.#close();
  }

  #connect(socket: WebSocket): void {
    this.#socket = socket;
    this.connections++;
    socket.send(JSON.stringify({ type: "hello", num_connections: 1, connection_info: { app_id: "A1" } }));
    socket.on("message", (data) => {
      const { envelope_id, payload } = JSON.parse(String(data)) as { envelope_id: string; payload?: object };
      this.slack.acknowledge(envelope_id, { ...payload });
    });
  }
}
