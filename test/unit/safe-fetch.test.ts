import Replicate from "replicate";
import { describe, it, vi } from "vitest";
import { faultOf, retryAfter, safeFetch } from "../../src/worker/runner/safe-fetch.ts";

const accepted = () => Response.json({ id: "gen_1", status: "starting" }, { status: 202 });

/** The real SDK over a fake network. */
function sdk(answer: () => Promise<Response> | Response) {
  const network = vi.fn(async (_input: Parameters<typeof fetch>[0], _init?: RequestInit) => answer());
  const replicate = new Replicate({
    auth: "token",
    baseUrl: "http://runner.test/v1",
    fetch: safeFetch(network as typeof fetch),
  });
  return { network, replicate };
}

const request = { id: "gen_1", model: "vignette/miniature", input: { prompt: "a cat" } } as const;

describe("the SDK over safeFetch", () => {
  it("creates with PUT, our id, the model in the body, asynchronously", async ({ expect }) => {
    for (const body of [request, { ...request, model: undefined, version: "v1" }]) {
      const { network, replicate } = sdk(accepted);
      await replicate.predictions.create(body as typeof request);
      expect(network).toHaveBeenCalledOnce();
      const [url, init] = network.mock.calls[0] ?? [];
      expect(url).toBe("http://runner.test/v1/predictions/gen_1");
      expect(init?.method).toBe("PUT");
      const headers = new Headers(init?.headers);
      expect(headers.get("Prefer")).toBe("respond-async");
      expect(headers.get("Authorization")).toBe("Bearer token");
      expect(JSON.parse(String(init?.body))).toEqual(JSON.parse(JSON.stringify(body)));
    }
  });

  const busy = { kind: "busy", retryAfter: 10, detail: "Full." };
  const ill = { kind: "unavailable", retryAfter: null };
  it.for([
    ["429", () => Response.json({ detail: "Full." }, { status: 429, headers: { "Retry-After": "10" } }), busy],
    ["503", () => Response.json({ detail: "Full." }, { status: 503, headers: { "Retry-After": "10" } }), busy],
    [
      "409",
      () => Response.json({ error: "At capacity" }, { status: 409 }),
      { kind: "busy", retryAfter: null, detail: "At capacity" },
    ],
    [
      "429 as Replicate says it",
      () => Response.json({ detail: "Request was throttled. Your rate limit resets in ~30s." }, { status: 429 }),
      { kind: "busy", retryAfter: 30, detail: "Request was throttled. Your rate limit resets in ~30s." },
    ],
    [
      "503 without a time",
      () => Response.json({ error: "Setup has not finished yet", status: "failed" }, { status: 503 }),
      { ...ill, detail: "Setup has not finished yet", uncertain: false },
    ],
    [
      "502",
      () => new Response("<html>", { status: 502 }),
      { ...ill, detail: "The runner answered 502.", uncertain: true },
    ],
    ["401", () => Response.json({ detail: "Token!" }, { status: 401 }), { ...ill, detail: "Token!", uncertain: false }],
    [
      "no network",
      () => Promise.reject(new TypeError("refused")),
      { ...ill, detail: "The runner does not answer.", uncertain: true },
    ],
    [
      "422",
      () => Response.json({ detail: [{ loc: ["body", "input", "seed"], msg: "Too large." }] }, { status: 422 }),
      { kind: "rejected", detail: "seed: Too large." },
    ],
  ] as const)("asks once and tells the fault of %s", async ([, answer, fault], { expect }) => {
    for (const call of [
      (replicate: Replicate) => replicate.predictions.create(request),
      (replicate: Replicate) => replicate.predictions.get("gen_1"),
      (replicate: Replicate) => replicate.predictions.cancel("gen_1"),
    ]) {
      const { network, replicate } = sdk(answer as () => Promise<Response>);
      const error = await call(replicate).catch((thrown: unknown) => thrown);
      expect(faultOf(error)).toEqual(fault);
      expect(network).toHaveBeenCalledOnce();
    }
  });

  it.for([404, 410])(
    "takes a %i to a question for its answer, and to a PUT for a proxy's that has no runner behind it",
    async (status, { expect }) => {
      const answer = () => Response.json({ detail: "No such thing." }, { status });
      const faultTo = async (call: (replicate: Replicate) => Promise<unknown>) =>
        faultOf(await call(sdk(answer).replicate).catch((thrown: unknown) => thrown));
      const missing = { kind: "missing", detail: "No such thing." };
      expect(await faultTo(({ predictions }) => predictions.get("gen_1"))).toEqual(missing);
      expect(await faultTo(({ predictions }) => predictions.cancel("gen_1"))).toEqual(missing);
      // A cloud that names predictions itself has no such model.
      const { id: _, ...unnamed } = request;
      expect(await faultTo(({ predictions }) => predictions.create(unnamed))).toEqual(missing);
      expect(await faultTo(({ predictions }) => predictions.create(request))).toEqual({
        ...ill,
        detail: "No such thing.",
        uncertain: false,
      });
    },
  );

  it("knows its own faults only", ({ expect }) => {
    expect(faultOf(new Error("other"))).toBeNull();
    expect(faultOf({ response: new Response() })).toBeNull();
    expect(faultOf(null)).toBeNull();
  });
});

describe("retryAfter", () => {
  it("reads delays and dates", ({ expect }) => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    expect(retryAfter("5", now)).toBe(5);
    expect(retryAfter("Thu, 01 Jan 2026 00:00:07 GMT", now)).toBe(7);
    expect(retryAfter("Wed, 31 Dec 2025 23:00:00 GMT", now)).toBe(0);
    expect(retryAfter("soon", now)).toBeNull();
    expect(retryAfter(null, now)).toBeNull();
  });
});
