import type { FakePrediction, FakeRunner } from "./replicate.ts";
import { CATALOGUE } from "./runner-catalogue.ts";

type CreateBody = Partial<Pick<FakePrediction, "id" | "model" | "version" | "webhook" | "webhook_events_filter">> & {
  input: Record<string, unknown>;
};

/** One of the three HTTP surfaces that a runner can have: what it answers, and how it shows predictions. */
export interface Protocol {
  /** Answers a request with a good token; null: there is no such route. */
  route(runner: FakeRunner, request: Request, path: string): Promise<Response | null>;
  /** Answers without a token, where the real one does. */
  open(runner: FakeRunner, request: Request, path: string): Response | null;
  /** A prediction as this protocol's callbacks carry it. */
  shown(prediction: FakePrediction): object;
  /** How a full runner refuses. */
  full(): Response;
  /** How outputs travel: an address, or the bytes themselves. */
  output(runner: FakeRunner, prediction: FakePrediction, index: number, bytes: Uint8Array<ArrayBuffer>): string;
}

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
  preview_every: (value) => Number.isInteger(value) && Number(value) >= 1,
};
/** Inputs of the foreign model that the fake cloud has. */
const FOREIGN: typeof INPUT = {
  ...Object.fromEntries(
    Object.entries(INPUT).filter(([name]) => !/^(model|adapter|num_images|output_format|preview_every)/.test(name)),
  ),
  num_outputs: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 4,
  scheduler: (value) => value === "K_EULER",
};

/** Our runner: predictions under the caller's ids, remembered; Replicate's surface (docs/runners.md). */
export const vignette: Protocol = {
  open: (_, { method }, path) => (method === "GET" && path === "/readyz" ? Response.json({ status: "ready" }) : null),
  async route(runner, request, path) {
    const put = /^\/v1\/predictions\/([^/]+)$/.exec(path);
    const cancel = /^\/v1\/predictions\/([^/]+)\/cancel$/.exec(path);
    if (request.method === "GET" && path === "/v1/models") return Response.json(CATALOGUE);
    if (request.method === "PUT" && put?.[1]) return create(runner, put[1], request);
    if (request.method === "GET" && put?.[1]) return found(runner.predictions.get(put[1]));
    if (request.method === "POST" && cancel?.[1]) return found(runner.cancel(cancel[1]));
    if (request.method === "GET" && path.startsWith("/files/")) return runner.file(path);
    return null;
  },
  shown: (prediction) => prediction,
  full: () => detail(503, "The runner has 128 requests, as many as it holds.", { "Retry-After": "2" }),
  output(runner, { id }, index, bytes) {
    runner.files.set(`/files/${id}/${index}.png`, bytes);
    return `${runner.url}/files/${id}/${index}.png?code=0123456789abcdef`;
  },
};

/** What our runner heeds of a request's headers and the edge has no reason to send. */
const UNEXPECTED = /^(?:x-vignette-(?!caller$).*|cancel-after|priority|traceparent)$/;

async function create(runner: FakeRunner, id: string, request: Request): Promise<Response> {
  if (request.headers.get("Prefer") !== "respond-async") return detail(400, "This test wants asynchronous creation.");
  const unexpected = [...request.headers.keys()].find((name) => UNEXPECTED.test(name));
  if (unexpected !== undefined) return detail(400, `This test expects no header ${unexpected}.`);
  const caller = request.headers.get("X-Vignette-Caller") ?? "";
  if (!/^[0-9a-f]{32}$/.test(caller)) return detail(400, "This test wants to know who asks, and not by name.");
  runner.callers.set(id, caller);
  const body = (await request.json()) as CreateBody;
  if (body.id !== id) return invalid("id", "The body's id is not the URL's.");
  if (body.model !== "vignette/miniature") return invalid("model", "There is no such model here.");
  const wrong = wrongInput(body.input, INPUT);
  if (wrong) return wrong;
  if (runner.refuse !== null) return Response.json({ detail: runner.refuse }, { status: 422 });
  const known = runner.predictions.get(id);
  if (known) {
    if (JSON.stringify(known.input) === JSON.stringify(body.input)) return Response.json(known);
    return invalid("id", `The prediction ${id} exists with another input; use a new id.`);
  }
  if (runner.mood === "busy") return vignette.full();
  return runner.accept({ ...body, id, model: "vignette/miniature" });
}

/** Replicate's cloud (replicate.com/docs/reference/http): ids of its own, a POST that is not idempotent. */
export const cloud: Protocol = {
  open: (runner, request, path) => {
    if (!path.startsWith("/delivery/")) return null;
    // A stranger's server: it must never see the token.
    return request.headers.has("Authorization") ? detail(400, "Keep your token to yourself.") : runner.file(path);
  },
  async route(runner, request, path) {
    const one = /^\/v1\/predictions\/([^/]+)$/.exec(path);
    const cancel = /^\/v1\/predictions\/([^/]+)\/cancel$/.exec(path);
    const model = /^\/v1\/(?:models|deployments)\/([^/]+\/[^/]+)\/predictions$/.exec(path);
    if (request.method === "GET" && path === "/v1/account") return Response.json({ type: "user", username: "ada" });
    if (request.method === "POST" && path === "/v1/predictions") return createInCloud(runner, request, null);
    if (request.method === "POST" && model?.[1]) return createInCloud(runner, request, model[1]);
    if (request.method === "GET" && one?.[1]) return found(runner.predictions.get(one[1]));
    if (request.method === "POST" && cancel?.[1]) return found(runner.cancel(cancel[1]));
    return null;
  },
  shown: (prediction) => prediction,
  full: () => detail(429, "Request was throttled. Your rate limit resets in ~7s."),
  output(runner, { id }, index, bytes) {
    runner.files.set(`/delivery/${id}/${index}.png`, bytes);
    return `https://${DELIVERY}/delivery/${id}/${index}.png`;
  },
};

/** Where the cloud's outputs lie: with somebody else. */
export const DELIVERY = "delivery.test";

const CLOUD_KEYS = ["version", "input", "webhook", "webhook_events_filter", "stream"];

async function createInCloud(runner: FakeRunner, request: Request, model: string | null): Promise<Response> {
  const body = (await request.json()) as CreateBody;
  const unknown = Object.keys(body).find((key) => !CLOUD_KEYS.includes(key));
  if (unknown) return detail(422, `- ${unknown}: Unknown field.`);
  if ((model === null) !== (body.version !== undefined)) return detail(422, "- version: Give it here, or a model.");
  if (model === null && body.version !== "5c7d5dc6") return detail(422, "The specified version does not exist.");
  if (model !== null && model !== "ada/painter") return detail(404, "The requested resource could not be found.");
  if (body.webhook && !body.webhook.startsWith("https://")) return detail(422, "- webhook: Must be https.");
  const wrong = wrongInput(body.input, FOREIGN);
  if (wrong) return wrong;
  if (runner.mood === "busy") return cloud.full();
  return runner.accept({ ...body, id: `cloud${++runner.made}`, model: model ?? "ada/painter" }, 201);
}

/** Bare Cog (github.com/replicate/cog, crates/coglet/src/transport/http/routes.rs at 0.22). */
export const cog: Protocol = {
  open(runner, request, path) {
    if (request.method !== "GET") return null;
    if (path === "/health-check") return Response.json({ status: runner.inFlight() < runner.slots ? "READY" : "BUSY" });
    return /^\/predictions\//.test(path) ? new Response(null, { status: 405 }) : null;
  },
  async route(runner, request, path) {
    const put = /^\/predictions\/([^/]+)$/.exec(path);
    const cancel = /^\/predictions\/([^/]+)\/cancel$/.exec(path);
    if (request.method === "POST" && cancel?.[1])
      return Response.json({}, { status: runner.cancel(cancel[1]) ? 200 : 404 });
    if (request.method !== "PUT" || !put?.[1]) return null;
    // Any other value makes it wait for the end; a test that sees that has found a mistake.
    if (request.headers.get("Prefer") !== "respond-async") return detail(400, "This would be synchronous.");
    const body = (await request.json()) as CreateBody;
    if (body.id !== put[1]) return invalid("id", "id mismatch");
    if (runner.mood === "starting")
      return Response.json({ error: "Setup has not finished yet", status: "failed" }, { status: 503 });
    const known = runner.predictions.get(put[1]);
    if (known && isOpen(known)) return Response.json(cog.shown(known), { status: 202 });
    if (runner.mood === "busy" || runner.inFlight() >= runner.slots) return cog.full();
    // What it does not know it leaves out without a word.
    const input = Object.fromEntries(Object.entries(body.input).filter(([name]) => Object.hasOwn(INPUT, name)));
    const wrong = wrongInput(input, INPUT);
    if (wrong) return wrong;
    await runner.accept({ ...body, id: put[1], input, model: "cog" });
    return Response.json({ id: put[1], status: "starting" }, { status: 202 });
  },
  shown: ({ id, status, logs, output, error, metrics }) => ({
    id,
    status,
    logs,
    ...(output ? { output } : {}),
    ...(error ? { error } : {}),
    metrics,
  }),
  full: () => Response.json({ error: "At capacity - all prediction slots busy", status: "failed" }, { status: 409 }),
  output: (_, __, ___, bytes) => `data:image/png;base64,${btoa(String.fromCharCode(...bytes))}`,
};

export const isOpen = ({ status }: FakePrediction) => status === "starting" || status === "processing";

function wrongInput(input: Record<string, unknown>, known: typeof INPUT): Response | null {
  for (const [name, value] of Object.entries(input))
    if (!known[name]?.(value)) return invalid(name, `This runner does not take ${name} = ${JSON.stringify(value)}.`);
  return null;
}

function found(prediction: FakePrediction | undefined): Response {
  return prediction ? Response.json(prediction) : detail(404, "There is no such prediction here.");
}

export function detail(status: number, text: string, headers: Record<string, string> = {}): Response {
  return Response.json({ detail: text }, { status, headers });
}

function invalid(field: string, message: string): Response {
  return Response.json(
    { detail: [{ loc: ["body", "input", field], msg: message, type: "value_error" }] },
    { status: 422 },
  );
}
