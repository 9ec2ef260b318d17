import { signWebhook } from "./sign.ts";

type CreateBody = Pick<FakePrediction, "id" | "model" | "input" | "webhook" | "webhook_events_filter">;

/** How a prediction looks on the wire (replicate.com/docs/reference/http#predictions.get). */
export interface FakePrediction {
  id: string;
  model: string;
  version: string;
  input: Record<string, unknown>;
  status: "starting" | "processing" | "succeeded" | "failed" | "canceled";
  output: string[] | null;
  error: string | null;
  error_code?: string;
  logs: string;
  metrics: Record<string, unknown>;
  webhook: string | null;
  webhook_events_filter: string[] | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  urls: { get: string; cancel: string };
}

/** `down`: no answer at all; `busy`: a full queue; `broken`: an error page, as a proxy gives. */
export type FakeMood = "well" | "busy" | "down" | "broken";

const INPUT: Record<string, (value: unknown) => boolean> = {
  prompt: (value) => typeof value === "string" && value.trim() !== "",
  negative_prompt: (value) => typeof value === "string",
  model: (value) => value === "miniature",
  adapter: (value) => value === null || value === "sur",
  adapter_scale: (value) => typeof value === "number" && value >= 0 && value <= 2,
  width: (value) => Number.isInteger(value),
  height: (value) => Number.isInteger(value),
  num_inference_steps: (value) => Number.isInteger(value) && Number(value) >= 1,
  guidance_scale: (value) => typeof value === "number" && value >= 0,
  scheduler: (value) => value === "DDIMScheduler" || value === "EulerDiscreteScheduler",
  seed: (value) => Number.isInteger(value),
  num_images: (value) => Number.isInteger(value) && Number(value) >= 1,
  output_format: (value) => value === "png" || value === "jpeg" || value === "webp",
};

/**
 * A runner's HTTP surface, as strict as the real one: it refuses a missing token, unknown fields, wrong values and
 * unknown ids. It draws nothing by itself; a test moves its predictions with `start`, `progress` and `succeed`.
 */
export class FakeRunner {
  readonly predictions = new Map<string, FakePrediction>();
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Every request that arrived, as `METHOD /path`. */
  readonly requests: string[] = [];
  mood: FakeMood = "well";
  /** How its files are served. */
  filesMood: "well" | "broken" = "well";
  /** The 422 sentence for every new prediction. */
  refuse: string | null = null;
  /** Requests that would have left for other hosts. */
  readonly strays: string[] = [];
  /** Runs once a prediction exists and before its creator hears of it. */
  beforeAnswer: (() => Promise<void>) | null = null;
  readonly #url: string;
  readonly #token: string;
  readonly #secret: string;
  readonly #deliver: (request: Request) => Promise<Response>;

  constructor(options: {
    url: string;
    token: string;
    secret: string;
    deliver: (request: Request) => Promise<Response>;
  }) {
    this.#url = options.url;
    this.#token = options.token;
    this.#secret = options.secret;
    this.#deliver = options.deliver;
  }

  /** What the edge's `fetch` reaches. */
  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    if (url.origin !== this.#url) {
      this.strays.push(request.url);
      throw new TypeError(`nothing answers at ${url.origin}`);
    }
    this.requests.push(`${request.method} ${url.pathname}`);
    if (this.mood === "down") throw new TypeError("connection refused");
    if (this.mood === "broken") return new Response("<h1>Bad gateway</h1>", { status: 502 });
    if (url.pathname === "/readyz") return Response.json({ status: "ready" });
    if (request.headers.get("Authorization") !== `Bearer ${this.#token}`)
      return detail(401, "This runner wants a token.");
    return this.#route(request, url.pathname);
  };

  async #route(request: Request, path: string): Promise<Response> {
    const put = /^\/v1\/predictions\/([^/]+)$/.exec(path);
    const cancel = /^\/v1\/predictions\/([^/]+)\/cancel$/.exec(path);
    if (request.method === "GET" && path === "/v1/models") return Response.json(CATALOGUE);
    if (request.method === "PUT" && put?.[1]) return this.#create(put[1], request);
    if (request.method === "GET" && put?.[1]) return found(this.predictions.get(put[1]));
    if (request.method === "POST" && cancel?.[1]) return this.#cancel(cancel[1]);
    if (request.method === "GET" && path.startsWith("/files/")) {
      if (this.filesMood === "broken") return detail(500, "Internal Server Error");
      const bytes = this.files.get(path);
      return bytes ? new Response(bytes) : detail(404, "There is no such file here; outputs are kept for an hour.");
    }
    return detail(404, "Not Found");
  }

  async #create(id: string, request: Request): Promise<Response> {
    if (request.headers.get("Prefer") !== "respond-async") return detail(400, "This test wants asynchronous creation.");
    const body = await request.json<CreateBody>();
    if (body.id !== id) return invalid("id", "The body's id is not the URL's.");
    if (body.model !== "vignette/miniature") return invalid("model", "There is no such model here.");
    for (const [name, value] of Object.entries<unknown>(body.input))
      if (!INPUT[name]?.(value)) return invalid(name, `This runner does not take ${name} = ${JSON.stringify(value)}.`);
    if (this.refuse !== null) return Response.json({ detail: this.refuse }, { status: 422 });
    const known = this.predictions.get(id);
    if (known) {
      if (JSON.stringify(known.input) === JSON.stringify(body.input)) return Response.json(known);
      return invalid("id", `The prediction ${id} exists with another input; use a new id.`);
    }
    if (this.mood === "busy")
      return detail(503, "The runner has 128 requests, as many as it holds.", { "Retry-After": "2" });
    const prediction: FakePrediction = {
      id,
      model: "vignette/miniature",
      version: "v1",
      input: body.input,
      status: "starting",
      output: null,
      error: null,
      logs: "",
      metrics: {},
      webhook: body.webhook,
      webhook_events_filter: body.webhook_events_filter,
      created_at: new Date().toISOString(),
      started_at: null,
      completed_at: null,
      urls: { get: `${this.#url}/v1/predictions/${id}`, cancel: `${this.#url}/v1/predictions/${id}/cancel` },
    };
    this.predictions.set(id, prediction);
    const answer = Response.json(prediction, { status: 202 });
    await this.beforeAnswer?.();
    return answer;
  }

  #cancel(id: string): Response {
    const prediction = this.predictions.get(id);
    if (prediction && ["starting", "processing"].includes(prediction.status)) prediction.status = "canceled";
    return found(prediction);
  }

  /** The whole way of a prediction, callbacks included. */
  async draw(id: string): Promise<void> {
    await this.start(id);
    await this.progress(id, 12, 25);
    await this.succeed(id);
  }

  async start(id: string): Promise<Response | null> {
    const prediction = this.get(id);
    prediction.status = "processing";
    prediction.started_at = new Date().toISOString();
    return this.callback(prediction, "start");
  }

  async progress(id: string, step: number, steps: number): Promise<Response | null> {
    const prediction = this.get(id);
    const percent = String(Math.floor((100 * step) / steps)).padStart(3);
    prediction.logs += `${percent}%|####      | ${step}/${steps} [00:00<00:00, 17.31it/s]\n`;
    return this.callback(prediction, "logs");
  }

  /** @param bytes the output files' contents; by default one small PNG for each image asked for */
  async succeed(id: string, bytes?: Uint8Array<ArrayBuffer>[]): Promise<Response | null> {
    const prediction = this.get(id);
    const count = Number(prediction.input.num_images);
    const files = bytes ?? Array.from({ length: count }, (_, index) => png(`${id} ${index}`));
    prediction.output = files.map((_, index) => `${this.#url}/files/${id}/${index}.png`);
    files.forEach((file, index) => void this.files.set(`/files/${id}/${index}.png`, file));
    prediction.status = "succeeded";
    prediction.metrics = {
      predict_time: 0.25,
      queue_time: 0.01,
      steps: prediction.input.num_inference_steps,
      reading: [{ tag: "purple cat", score: 0.9 }],
      notice: "The runner has something to say.",
      flagged: files.map(() => false),
    };
    return this.callback(prediction, "completed");
  }

  async fail(id: string, error: string, code?: string): Promise<Response | null> {
    const prediction = this.get(id);
    Object.assign(prediction, { status: "failed", error, error_code: code });
    return this.callback(prediction, "completed");
  }

  /** As after a restart: it remembers nothing. */
  forget(): void {
    this.predictions.clear();
    this.files.clear();
  }

  get(id: string): FakePrediction {
    const prediction = this.predictions.get(id);
    if (!prediction) throw new Error(`the fake runner has no prediction ${id}`);
    return prediction;
  }

  /** Signs and sends a callback, if the prediction asked for this event. */
  async callback(prediction: FakePrediction, event: string): Promise<Response | null> {
    if (!prediction.webhook || !(prediction.webhook_events_filter ?? [event]).includes(event)) return null;
    const body = JSON.stringify(prediction);
    const headers = await signWebhook(body, this.#secret, { now: Date.now() });
    return this.#deliver(new Request(prediction.webhook, { method: "POST", headers, body }));
  }
}

/** Bytes that begin as a PNG does; nothing here decodes them. */
export function png(content: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, ...new TextEncoder().encode(content)]);
}

function found(prediction: FakePrediction | undefined): Response {
  return prediction ? Response.json(prediction) : detail(404, "There is no such prediction here.");
}

function detail(status: number, text: string, headers: Record<string, string> = {}): Response {
  return Response.json({ detail: text }, { status, headers });
}

function invalid(field: string, message: string): Response {
  return Response.json(
    { detail: [{ loc: ["body", "input", field], msg: message, type: "value_error" }] },
    { status: 422 },
  );
}

export const CATALOGUE = {
  next: null,
  previous: null,
  results: [
    {
      owner: "vignette",
      name: "miniature",
      url: "http://runner.test/v1/models/vignette/miniature",
      description: "A small model for tests.",
      visibility: "private",
      latest_version: {
        id: "v1",
        created_at: "2026-11-01T00:00:00Z",
        cog_version: "vignette-0.1.0",
        openapi_schema: {},
      },
      vignette: {
        default: true,
        version: "v1",
        adapters: [{ id: "sur", default: true, description: "SUR-adapter" }],
        defaults: {
          width: 128,
          height: 128,
          num_inference_steps: 25,
          guidance_scale: 4,
          scheduler: "DDIMScheduler",
          adapter_scale: 1,
          negative_prompt: "",
        },
        limits: {
          min_width: 64,
          max_width: 256,
          min_height: 64,
          max_height: 256,
          multiple_of: 8,
          max_steps: 100,
          max_images: 4,
          max_prompt_chars: 1000,
        },
        schedulers: ["DDIMScheduler", "EulerDiscreteScheduler"],
        device: "cpu",
      },
    },
  ],
};
