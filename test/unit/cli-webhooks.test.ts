import type { ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { main } from "../../src/cli/main.ts";
import type { Generation } from "../../src/contract/index.ts";
import { generation } from "../bots/sample.ts";
import { hostOf, serve } from "./cli-host.ts";

const SECRET = `whsec_${btoa("s".repeat(32))}`;

/** A generation whose id says how old it is: a higher number is a newer one. */
const numbered = (n: number, status: Generation["status"] = "succeeded") =>
  generation({ id: `gen_${String(n).padStart(6, "0")}`, status, images: [] });

/**
 * `webhooks listen` against an account with these generations, which the test changes between two looks: `look` lets
 * one happen and answers which ends have been forwarded since the last.
 */
async function listening(known: Generation[]) {
  const trouble: ((response: ServerResponse) => void)[] = [];
  const edge = await serve((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://edge");
    response.setHeader("Content-Type", "application/json");
    if (pathname === "/v1/webhook-endpoints/default-secret") return response.end(JSON.stringify({ secret: SECRET }));
    const failing = trouble.shift();
    if (failing) return failing(response);
    const { limit, cursor, status, ...others } = Object.fromEntries(searchParams);
    if (pathname !== "/v1/generations" || Object.keys(others).length > 0) return response.writeHead(422).end();
    const rows = known
      .toSorted((a, b) => (a.id < b.id ? 1 : -1))
      .filter((one) => (!status || one.status === status) && (!cursor || one.id < cursor));
    const data = rows.slice(0, Number(limit));
    const next_cursor = rows.length > data.length ? data.at(-1)?.id : null;
    return response.end(JSON.stringify({ data, next_cursor }));
  });
  const messages: { headers: Record<string, string>; body: string }[] = [];
  const local = await serve(async (request, response) => {
    messages.push({ headers: request.headers as Record<string, string>, body: await text(request) });
    response.writeHead(204).end();
  });
  const stop = new AbortController();
  const pauses: number[] = [];
  let [paused, goOn] = [Promise.withResolvers<void>(), () => {}];
  const { host, said } = hostOf(edge, stop.signal, (ms) => {
    pauses.push(ms);
    return new Promise((resolve) => {
      goOn = () => resolve();
      paused.resolve();
    });
  });
  const running = main(["webhooks", "listen", "--forward-to", local], host);
  const settled = () => Promise.race([paused.promise, running]);
  await settled();
  return {
    said,
    pauses,
    messages,
    running,
    /** The next requests for generations fail like this. */
    fail: (...ways: typeof trouble) => void trouble.push(...ways),
    async look(): Promise<string[]> {
      const before = messages.length;
      paused = Promise.withResolvers();
      goOn();
      await settled();
      return messages.slice(before).map(({ body }) => JSON.parse(body).data.id);
    },
    async end() {
      stop.abort();
      goOn();
      return running;
    },
  };
}

describe("vignette webhooks", () => {
  it("listen forwards what ends from now on, signed, once", async () => {
    const known = [numbered(1)];
    const { look, end, messages, said } = await listening(known);
    expect(said.err).toContain(SECRET);
    known.push(numbered(2, "failed"), numbered(3, "running"));
    expect(await look()).toEqual(["gen_000002"]);
    expect(await look()).toEqual([]);
    expect(await end()).toBe(0);
    const [{ body, headers }] = messages as [(typeof messages)[0]];
    expect(new Webhook(SECRET).verify(body, headers)).toMatchObject({
      type: "generation.failed",
      data: { id: "gen_000002" },
    });
    expect(said.out).toBe("gen_000002 failed -> 204\n");
  });

  it("listen begins with an account that has nothing yet", async () => {
    const known: Generation[] = [];
    const { look, end } = await listening(known);
    known.push(...Array.from({ length: 150 }, (_, n) => numbered(n + 1)));
    expect(await look()).toHaveLength(150);
    expect(await end()).toBe(0);
  });

  it("listen hears of ends behind any number of newer generations, oldest first", async () => {
    const slow = numbered(150, "running");
    const slower = numbered(120, "queued");
    const older = Array.from({ length: 100 }, (_, n) => numbered(n + 1));
    const known = [...older, slower, slow, ...Array.from({ length: 300 }, (_, n) => numbered(n + 200))];
    const { look, end } = await listening(known);
    expect(await look()).toEqual([]);
    slow.status = "succeeded";
    expect(await look()).toEqual([slow.id]);
    known.push(...Array.from({ length: 250 }, (_, n) => numbered(n + 600)));
    slower.status = "canceled";
    const told = await look();
    expect(told).toHaveLength(251);
    expect(told.slice(0, 2)).toEqual([slower.id, "gen_000600"]);
    // Removing newer ones brings up what had ended before: it is no news.
    known.splice(0, known.length, ...older);
    expect(await look()).toEqual([]);
    expect(await end()).toBe(0);
  });

  it("listen goes on after a server that was away, waiting longer each time, and says so", async () => {
    const known: Generation[] = [];
    const { look, end, fail, said, pauses } = await listening(known);
    fail(
      (response) => response.writeHead(502).end("<html>"),
      (response) => response.destroy(),
      (response) => response.writeHead(429, { "Retry-After": "90" }).end("{}"),
    );
    known.push(numbered(1));
    for (let n = 0; n < 3; n++) expect(await look()).toEqual([]);
    expect(said.err.split("\n").slice(1, 4)).toEqual([
      "The server answered 502. Looking again in 4 s.",
      "Vignette does not answer. Looking again in 8 s.",
      "The server answered 429. Looking again in 90 s.",
    ]);
    expect(await look()).toEqual(["gen_000001"]);
    expect(pauses).toEqual([2_000, 4_000, 8_000, 90_000, 2_000]);
    expect(await end()).toBe(0);
  });

  it("listen ends when the key may listen no longer", async () => {
    const { look, fail, running } = await listening([]);
    fail((response) => response.writeHead(401).end("{}"));
    const ended = expect(running).rejects.toMatchObject({ status: 4 });
    await look().catch(() => {});
    await ended;
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

  it("prints each event with its id as JSON", async () => {
    const end = generation();
    const edge = await serve((request, response) => {
      if (!request.url?.endsWith("/events")) return response.end(JSON.stringify({ ...end, status: "running" }));
      response.setHeader("Content-Type", "text/event-stream");
      response.end(`id: 7\nevent: completed\ndata: ${JSON.stringify(end)}\n\n`);
    });
    const { host, said } = hostOf(edge);
    expect(await main(["watch", end.id, "--json"], host)).toBe(0);
    expect(JSON.parse(said.out)).toEqual({ id: "7", type: "completed", data: JSON.parse(JSON.stringify(end)) });
  });
});
