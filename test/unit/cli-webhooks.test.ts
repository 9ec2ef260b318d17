import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { describe, expect, it, vi } from "vitest";
import { main } from "../../src/cli/main.ts";
import { generation } from "../bots/sample.ts";
import { hostOf, serve } from "./cli-host.ts";

const SECRET = `whsec_${btoa("s".repeat(32))}`;
describe("vignette webhooks", () => {
  it("listen forwards what ends from now on, signed, once", async () => {
    const known = [generation()];
    let looks = 0;
    const edge = await serve((request, response) => {
      response.setHeader("Content-Type", "application/json");
      if (request.url?.includes("/v1/generations")) looks++;
      response.end(
        JSON.stringify(
          request.url?.includes("default-secret") ? { secret: SECRET } : { data: known, next_cursor: null },
        ),
      );
    });
    const messages: { headers: Record<string, string>; body: string }[] = [];
    const local = await serve(async (request, response) => {
      messages.push({ headers: request.headers as Record<string, string>, body: await text(request) });
      response.writeHead(204).end();
    });
    const stop = new AbortController();
    const { host, said } = hostOf(edge, stop.signal);
    const running = main(["webhooks", "listen", "--forward-to", local], host);
    // What it saw at its first look has ended before now.
    await vi.waitUntil(() => said.err.includes(SECRET) && looks > 0, { timeout: 20_000 });
    const fresh = generation({ status: "failed", images: [] });
    known.unshift(fresh);
    await vi.waitUntil(() => said.out.includes("204"), { timeout: 20_000 });
    stop.abort();
    expect(await running).toBe(0);
    expect(messages).toHaveLength(1);
    const [{ body, headers }] = messages as [(typeof messages)[0]];
    expect(new Webhook(SECRET).verify(body, headers)).toMatchObject({
      type: "generation.failed",
      data: { id: fresh.id },
    });
  });

  it("create prints the secret alone, so that it can be piped", async () => {
    const asked: unknown[] = [];
    const edge = await serve(async (request, response) => {
      asked.push([request.method, request.url, JSON.parse(await text(request))]);
      response.setHeader("Content-Type", "application/json");
      response.writeHead(201).end(JSON.stringify({ id: "whe_1", secret: SECRET }));
    });
    const { host, said } = hostOf(edge);
    const args = ["webhooks", "create", "https://example.com/in", "--events", "generation.failed"];
    expect(await main(args, host)).toBe(0);
    expect(said.out).toBe(`${SECRET}\n`);
    expect(asked).toEqual([
      ["POST", "/v1/webhook-endpoints", { url: "https://example.com/in", events: ["generation.failed"] }],
    ]);
  });

  it("says what it does not know", async () => {
    const { host } = hostOf("http://127.0.0.1:1");
    await expect(main(["webhooks", "create", "https://example.com", "--events", "x"], host)).rejects.toThrow(
      /there are/,
    );
    await expect(main(["webhooks", "listen"], host)).rejects.toThrow(/--forward-to/);
    await expect(main(["webhooks", "nonsense"], host)).rejects.toThrow(/vignette webhooks create/);
  });
});

describe("vignette watch", () => {
  it("prints a line per event and answers with the end", async () => {
    const end = generation();
    const edge = await serve((request, response) => {
      if (!request.url?.endsWith("/events")) return response.end(JSON.stringify({ ...end, status: "queued" }));
      const events = [
        ["status", { status: "running" }],
        ["progress", { fraction: 0.5, step: 5, steps: 10, queue_position: null, eta_seconds: 1 }],
        ["completed", end],
      ] as const;
      response.setHeader("Content-Type", "text/event-stream");
      response.end(
        events.map(([event, data], id) => `id: ${id + 1}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(""),
      );
    });
    const { host, said } = hostOf(edge);
    expect(await main(["watch", end.id], host)).toBe(0);
    expect(said.out.split("\n").slice(0, 2)).toEqual(["running", "step 5 of 10"]);
    expect(said.out).toContain(`succeeded ${end.images[0]?.url}`);
  });
});
