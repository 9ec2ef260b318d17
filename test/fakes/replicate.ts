import { cloud, cog, DELIVERY, detail, isOpen, type Protocol, vignette } from "./protocols.ts";
import { signWebhook } from "./sign.ts";

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

/**
 * `down`: no answer at all; `lost`: it does what it is asked, and its answer never arrives; `busy`: full; `broken`: an
 * error page, as a proxy gives; `starting`: a Cog that still sets up.
 */
export type FakeMood = "well" | "busy" | "down" | "lost" | "broken" | "starting";

const PROTOCOLS = { vignette, replicate: cloud, cog };

/**
 * A runner's HTTP surface, in any of the three protocols and as strict as the real one: it refuses a missing token,
 * unknown fields, wrong values and unknown ids. It draws nothing by itself; a test moves its predictions with `start`,
 * `progress` and `succeed`.
 */
export class FakeRunner {
  readonly predictions = new Map<string, FakePrediction>();
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Whom our runner was told that each prediction is for. */
  readonly callers = new Map<string, string>();
  /** Every request that arrived, as `METHOD /path`. */
  readonly requests: string[] = [];
  mood: FakeMood = "well";
  /** How its files are served. */
  filesMood: "well" | "broken" = "well";
  /** The 422 sentence for every new prediction. */
  refuse: string | null = null;
  /** Whether its detector finds what it draws unsuitable. */
  flag = false;
  /** How many a Cog works on at once. */
  slots = 1;
  /** How many predictions the cloud has named. */
  made = 0;
  /** Requests that would have left for other hosts. */
  readonly strays: string[] = [];
  /** Runs once a prediction exists and before its creator hears of it. */
  beforeAnswer: (() => Promise<void>) | null = null;
  readonly url: string;
  readonly #protocol: Protocol;
  readonly #kind: keyof typeof PROTOCOLS;
  readonly #token: string;
  readonly #secret: string;
  readonly #deliver: (request: Request) => Promise<Response>;

  /** @param options.secret what signs its callbacks; Cog's: the bearer token that they carry */
  constructor(options: {
    kind?: keyof typeof PROTOCOLS;
    url: string;
    token: string;
    secret: string;
    deliver: (request: Request) => Promise<Response>;
  }) {
    this.#kind = options.kind ?? "vignette";
    this.#protocol = PROTOCOLS[this.#kind];
    this.url = options.url;
    this.#token = options.token;
    this.#secret = options.secret;
    this.#deliver = options.deliver;
  }

  /** What the edge's `fetch` reaches. */
  readonly fetch = async (input: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const hosts = [new URL(this.url).host, ...(this.#kind === "replicate" ? [DELIVERY] : [])];
    if (!hosts.includes(url.host)) {
      this.strays.push(request.url);
      throw new TypeError(`nothing answers at ${url.origin}`);
    }
    this.requests.push(`${request.method} ${url.pathname}`);
    if (this.mood === "down") throw new TypeError("connection refused");
    if (this.mood === "broken") return new Response("<h1>Bad gateway</h1>", { status: 502 });
    const answer = await this.#answer(request, url.pathname);
    if (this.mood === "lost") throw new TypeError("connection reset");
    return answer;
  };

  async #answer(request: Request, path: string): Promise<Response> {
    const open = this.#protocol.open(this, request, path);
    if (open) return open;
    if (request.headers.get("Authorization") !== `Bearer ${this.#token}`)
      return detail(401, "This runner wants a token.");
    return (await this.#protocol.route(this, request, path)) ?? detail(404, "Not Found");
  }

  /** Takes a prediction whose request was good. */
  async accept(
    body: Partial<FakePrediction> & Pick<FakePrediction, "id" | "model" | "input">,
    status = 202,
  ): Promise<Response> {
    const { id } = body;
    const prediction: FakePrediction = {
      id,
      model: body.model,
      version: body.version ?? "v1",
      input: body.input,
      status: "starting",
      output: null,
      error: null,
      logs: "",
      metrics: {},
      webhook: body.webhook ?? null,
      webhook_events_filter: body.webhook_events_filter ?? null,
      created_at: new Date().toISOString(),
      started_at: null,
      completed_at: null,
      urls: { get: `${this.url}/v1/predictions/${id}`, cancel: `${this.url}/v1/predictions/${id}/cancel` },
    };
    this.predictions.set(id, prediction);
    const answer = Response.json(prediction, { status });
    await this.beforeAnswer?.();
    return answer;
  }

  /** Cancels what is under way; answers the prediction, if there is one. */
  cancel(id: string): FakePrediction | undefined {
    const prediction = this.predictions.get(id);
    const open = prediction && isOpen(prediction);
    if (open) prediction.status = "canceled";
    // Cog forgets what has ended.
    return this.#kind === "cog" && !open ? undefined : prediction;
  }

  file(path: string): Response {
    if (this.filesMood === "broken") return detail(500, "Internal Server Error");
    const bytes = this.files.get(path);
    return bytes ? new Response(bytes) : detail(404, "There is no such file here; outputs are kept for an hour.");
  }

  inFlight(): number {
    return [...this.predictions.values()].filter(isOpen).length;
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

  /** Shows one of its pictures as it is so far, in the place of its output. */
  async preview(id: string, index: number, content: string | Uint8Array<ArrayBuffer>): Promise<Response | null> {
    const prediction = this.get(id);
    const previews = prediction.output ?? Array.from({ length: Number(prediction.input.num_images) }, () => "");
    previews[index] =
      `data:image/png;base64,${btoa(String.fromCharCode(...(typeof content === "string" ? png(content) : content)))}`;
    prediction.output = previews;
    return this.callback(prediction, "output");
  }

  /** @param bytes the output files' contents; by default one small PNG for each image asked for */
  async succeed(id: string, bytes?: Uint8Array<ArrayBuffer>[]): Promise<Response | null> {
    const prediction = this.get(id);
    const count = Number(prediction.input.num_images ?? prediction.input.num_outputs);
    const files = bytes ?? Array.from({ length: count }, (_, index) => png(`${id} ${index}`));
    prediction.output = files.map((file, index) => this.#protocol.output(this, prediction, index, file));
    prediction.status = "succeeded";
    prediction.metrics = {
      predict_time: 0.25,
      queue_time: 0.01,
      steps: prediction.input.num_inference_steps,
      reading: [{ tag: "purple cat", score: 0.9 }],
      notice: "The runner has something to say.",
      flagged: files.map(() => this.flag),
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

  /** Vouches for a callback as this protocol does and sends it, if the prediction asked for this event. */
  async callback(prediction: FakePrediction, event: string): Promise<Response | null> {
    if (!prediction.webhook || !(prediction.webhook_events_filter ?? [event]).includes(event)) return null;
    const body = JSON.stringify(this.#protocol.shown(prediction));
    const headers: Record<string, string> =
      this.#kind === "cog"
        ? { "Content-Type": "application/json", Authorization: `Bearer ${this.#secret}` }
        : await signWebhook(body, this.#secret, { now: Date.now() });
    return this.#deliver(new Request(prediction.webhook, { method: "POST", headers, body }));
  }
}

/** Bytes that begin as a PNG does; nothing here decodes them. */
export function png(content: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, ...new TextEncoder().encode(content)]);
}
