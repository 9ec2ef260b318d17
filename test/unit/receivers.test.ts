import { afterEach, describe, it, vi } from "vitest";
import { Misconfigured, readConfig } from "../../src/worker/config.ts";
import { faultOfUrl } from "../../src/worker/webhooks/guard.ts";
import { dnsOverHttps } from "../../src/worker/webhooks/resolve.ts";
import { type SendOptions, send } from "../../src/worker/webhooks/send.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const guard = { allowLocal: false, ports: [443, 8443], ownHost: "vignette.example.com" };

describe("a receiver's address", () => {
  it("has a port of the list", ({ expect }) => {
    for (const port of ["", ":443", ":8443"]) expect(faultOfUrl(`https://hooks.example.com${port}/`, guard)).toBeNull();
    for (const port of [":22", ":80", ":444", ":5000", ":65535"])
      expect(faultOfUrl(`https://hooks.example.com${port}/`, guard)).toBe("Use port 443 or 8443.");
  });

  it("is not this service itself, however its name is written", ({ expect }) => {
    for (const host of [
      "vignette.example.com",
      "VIGNETTE.example.com",
      "vignette.example.com.",
      "vignette.example.com:8443",
    ])
      expect(faultOfUrl(`https://${host}/internal/runner/x`, guard), host).toContain("Vignette itself");
    expect(faultOfUrl("https://vignette.example.com/", { ...guard, ownHost: "vignette.example.com." })).not.toBeNull();
    expect(faultOfUrl("https://not-vignette.example.com/", guard)).toBeNull();
  });

  it("on this machine has any port while developing, over http too", ({ expect }) => {
    const local = { ...guard, allowLocal: true, ownHost: "127.0.0.1" };
    for (const url of ["http://127.0.0.1:5000/", "http://localhost:22/", "https://[::1]:9999/"])
      expect(faultOfUrl(url, local), url).toBeNull();
    expect(faultOfUrl("https://hooks.example.com:5000/", local)).not.toBeNull();
  });
});

describe("WEBHOOK_PORTS", () => {
  const variables = {
    RUNNER_URL: "http://runner.test",
    RUNNER_TOKEN: "x",
    RUNNER_WEBHOOK_SECRET: `whsec_${btoa("s".repeat(32))}`,
    PUBLIC_URL: "https://vignette.example.com",
  };

  it("names the ports, or is said to be malformed", ({ expect }) => {
    expect(readConfig({ ...variables }).WEBHOOK_PORTS).toEqual([443, 8443]);
    expect(readConfig({ ...variables, WEBHOOK_PORTS: "443,9000" }).WEBHOOK_PORTS).toEqual([443, 9000]);
    const broken = { ...variables, WEBHOOK_PORTS: "https" };
    expect(() => readConfig(broken)).toThrow(Misconfigured);
    expect(() => readConfig(broken)).toThrow(/WEBHOOK_PORTS .* must be port numbers/);
  });
});

describe("sending", () => {
  const options = (fetcher: (request: Request) => Promise<Response>): SendOptions => ({
    ...guard,
    resolve: async () => ["93.184.216.34"],
    fetch: (input, init) => fetcher(new Request(input, init)),
  });
  const deliver = (fetcher: (request: Request) => Promise<Response>) =>
    send("https://hooks.example.com/in", "{}", {}, options(fetcher));

  it("waits 15 s for an answer", async ({ expect }) => {
    const patience = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => {
      return AbortSignal.abort(new DOMException("The time is over.", "TimeoutError"));
    });
    const outcome = await deliver(({ signal }) => {
      signal.throwIfAborted();
      return Promise.resolve(new Response());
    });
    expect(patience.mock.calls).toEqual([[15_000]]);
    expect(outcome).toEqual({ kind: "failed", status: null, error: "No answer within 15 s.", retryAfter: null });
  });

  it("reads nothing of an answer but its head, which could be without end", async ({ expect }) => {
    for (const [status, kind] of [
      [200, "delivered"],
      [410, "gone"],
      [500, "failed"],
    ] as const) {
      let pulled = 0;
      let canceled = false;
      const endless = new ReadableStream<Uint8Array>(
        {
          pull: (controller) => {
            pulled++;
            controller.enqueue(new Uint8Array(1024));
          },
          cancel: () => {
            canceled = true;
          },
        },
        { highWaterMark: 0 },
      );
      expect(await deliver(async () => new Response(endless, { status }))).toMatchObject({ kind, status });
      expect([pulled, canceled]).toEqual([0, true]);
    }
  });
});

describe("looking a name up", () => {
  it("ends when whoever asks has no more time", async ({ expect }) => {
    const asked: AbortSignal[] = [];
    const resolve = dnsOverHttps("https://dns.example/query", (_, init) => {
      const signal = init?.signal as AbortSignal;
      asked.push(signal);
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    });
    const stop = new AbortController();
    const looking = resolve("hooks.example.com", stop.signal);
    stop.abort(new Error("no more time"));
    await expect(looking).rejects.toThrow("no more time");
    expect(asked.every(({ aborted }) => aborted)).toBe(true);
    expect(asked).toHaveLength(2);
  });
});
