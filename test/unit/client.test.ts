import { describe, it, vi } from "vitest";
import { Client, ClientError, StreamError } from "../../src/client/index.ts";
import { parseEvents } from "../../src/client/sse.ts";

type Answer = (request: Request) => Response | Promise<Response>;

/** A client whose requests are answered in turn. */
function client(...answers: Answer[]) {
  const requests: Request[] = [];
  const fetcher = vi.fn(async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
    const request = new Request(input, init);
    requests.push(request);
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    if (!answer) throw new Error("no answer left");
    return answer(request);
  });
  const api = new Client({ url: "http://edge.test/", apiKey: "vgt_x", fetch: fetcher, sleep: async () => {} });
  return { api, requests };
}

const progress = (step: number) => ({ fraction: step / 4, step, steps: 4, queue_position: null, eta_seconds: null });
const event = (id: number, type: string, data: unknown) =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
const ended = {
  id: "gen_1",
  object: "generation",
  status: "canceled",
  created_at: "2026-01-01T00:00:00Z",
  started_at: null,
  completed_at: "2026-01-01T00:00:01Z",
  model: "miniature",
  adapter: null,
  prompt: "a cat",
  negative_prompt: null,
  parameters: {
    width: 128,
    height: 128,
    num_inference_steps: 4,
    guidance_scale: 4,
    scheduler: "DDIMScheduler",
    seed: 1,
    num_images: 1,
    output_format: "png",
  },
  reading: null,
  notice: null,
  progress: null,
  images: [],
  error: null,
  cached: false,
  metrics: { queue_ms: null, run_ms: null, total_ms: 1000 },
  user: null,
  metadata: {},
  urls: { self: "x", cancel: "x", events: "x" },
};

/** A stream that breaks after its text. */
function broken(text: string): Response {
  let sent = false;
  const body = new ReadableStream({
    pull(controller) {
      if (sent) return controller.error(new TypeError("terminated"));
      sent = true;
      controller.enqueue(new TextEncoder().encode(text));
    },
  });
  return new Response(body);
}

describe("the client", () => {
  it("sends the key and the body, and waits when told to", async ({ expect }) => {
    const { api, requests } = client(() => Response.json(ended, { status: 201 }));
    expect(await api.generations.create({ prompt: "a cat" }, { wait: 30 })).toEqual(ended);
    const [request] = requests;
    expect(request?.url).toBe("http://edge.test/v1/generations");
    expect(request?.headers.get("Authorization")).toBe("Bearer vgt_x");
    expect(request?.headers.get("Prefer")).toBe("wait=30");
    expect(await request?.json()).toEqual({ prompt: "a cat" });
  });

  it("throws the problem that the API tells", async ({ expect }) => {
    const problem = {
      type: "urn:vignette:problem:models_unknown",
      title: "The models are not known yet",
      status: 503,
      detail: "Try again.",
      instance: "/v1/models",
      code: "models_unknown",
      request_id: "req_1",
    };
    const { api } = client(() => Response.json(problem, { status: 503, headers: { "Retry-After": "5" } }));
    const error = await api.models.list().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ status: 503, code: "models_unknown", retryAfter: 5, problem });
  });

  it("survives an error page that is none of the API's", async ({ expect }) => {
    const { api } = client(() => new Response("<html>", { status: 502 }));
    await expect(api.models.list()).rejects.toMatchObject({ status: 502, problem: null, code: "unknown" });
  });

  it("resumes a broken stream after the last event it saw", async ({ expect }) => {
    const { api, requests } = client(
      () => broken(event(1, "status", { status: "running" }) + event(2, "progress", progress(1))),
      () => Promise.reject(new TypeError("connection refused")),
      () => Response.json({}, { status: 502 }),
      () => new Response(event(3, "progress", progress(2)) + event(4, "novelty", {}) + event(5, "completed", ended)),
    );
    const seen = await Array.fromAsync(api.generations.events("gen_1"));
    expect(seen.map(({ type }) => type)).toEqual(["status", "progress", "progress", "completed"]);
    expect(requests.map((request) => request.headers.get("Last-Event-ID"))).toEqual([null, "2", "2", "2"]);
  });

  it("gives every event its id, after which a stream can be taken up again", async ({ expect }) => {
    const { api, requests } = client(
      () => new Response(event(8, "progress", progress(2)) + event(9, "completed", ended)),
    );
    const seen = await Array.fromAsync(api.generations.events("gen_1", { lastEventId: "7" }));
    expect(seen.map(({ id, type }) => [id, type])).toEqual([
      ["8", "progress"],
      ["9", "completed"],
    ]);
    expect(requests[0]?.headers.get("Last-Event-ID")).toBe("7");
  });

  it("gives up on a stream that ends again and again with nothing in it", async ({ expect }) => {
    const page = client(() => new Response("<html>Signed in</html>"));
    await expect(page.api.generations.wait("gen_1")).rejects.toThrow(StreamError);
    expect(page.requests.length).toBeGreaterThan(3);
    expect(page.requests.length).toBeLessThan(20);
  });

  it("waits as long as a stream is kept alive, however often it is cut", async ({ expect }) => {
    const silent = Array.from({ length: 30 }, () => () => new Response(": keep-alive\n\n"));
    const { api, requests } = client(...silent, () => new Response(event(1, "completed", ended)));
    expect(await api.generations.wait("gen_1")).toEqual(ended);
    expect(requests).toHaveLength(31);
  });

  it("does not insist where the API refuses, and gives up on a server that stays away", async ({ expect }) => {
    const refused = client(() => new Response(null, { status: 404 }));
    await expect(refused.api.generations.wait("gen_1")).rejects.toMatchObject({ status: 404 });
    expect(refused.requests).toHaveLength(1);
    const away = client(() => Promise.reject(new TypeError("connection refused")));
    await expect(away.api.generations.wait("gen_1")).rejects.toThrow("connection refused");
    expect(away.requests.length).toBeGreaterThan(3);
  });

  it("waits for the end, also when it was already told", async ({ expect }) => {
    const { api } = client(
      () => new Response(null, { status: 204 }),
      () => Response.json(ended),
    );
    expect(await api.generations.wait("gen_1")).toEqual(ended);
  });
});

describe("the event parser", () => {
  it("tells comments from events", async ({ expect }) => {
    const comments = vi.fn();
    const body = new Response(": one\n\nid: 1\n:two\ndata: x\n\n").body as ReadableStream<Uint8Array>;
    expect(await Array.fromAsync(parseEvents(body, comments))).toEqual([{ id: "1", event: "message", data: "x" }]);
    expect(comments).toHaveBeenCalledTimes(2);
  });

  it("reads every line end and any split of the bytes", async ({ expect }) => {
    const text = ': hello\n\nid: 1\r\nevent: a\r\ndata: "\u{1f408}"\r\n\r\ndata: x\ndata:y\n\nid: 3\n\n';
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 2, 3, 7, 1000]) {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size));
          controller.close();
        },
      });
      expect(await Array.fromAsync(parseEvents(body)), String(size)).toEqual([
        { id: "1", event: "a", data: '"\u{1f408}"' },
        { id: "1", event: "message", data: "x\ny" },
      ]);
    }
  });

  it("reads data with Unicode's own line separators, which end no line of a stream", async ({ expect }) => {
    const body = new Response('id: 1\nevent: a\ndata: "x\u2028y\u2029z"\n\n').body as ReadableStream<Uint8Array>;
    expect(await Array.fromAsync(parseEvents(body))).toEqual([{ id: "1", event: "a", data: '"x\u2028y\u2029z"' }]);
  });
});
