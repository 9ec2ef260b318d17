import { GiveFeedback } from "../../src/contract/feedback.ts";
import { CreateGeneration, type Generation, isTerminal, type Progress } from "../../src/contract/generation.ts";
import { type Group, UpdateGroup } from "../../src/contract/groups.ts";
import { newId } from "../../src/contract/ids.ts";
import { UpdateProfile } from "../../src/contract/profiles.ts";
import type { Readiness } from "../../src/contract/readiness.ts";
import type { Quota } from "../../src/contract/usage.ts";
import { CATALOGUE } from "./catalogue.ts";

/** `down`: no answer at all; `hanging`: no answer yet; `deaf`: it accepts, and its answers are lost. */
export type ApiMood = "well" | "down" | "hanging" | "deaf" | "busy" | "revoked" | "quota";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3, 4]);

/**
 * The edge's API for bots, checked by its own contract: unknown fields, a wrong key and unknown ids are refused. It draws
 * nothing by itself; a test moves its generations.
 */
export class FakeVignette {
  readonly url: string;
  readonly key = "vgt_for_tests_only";
  readonly generations = new Map<string, Generation>();
  /** What people said of their pictures, by generation. */
  readonly feedback = new Map<string, { generation: string } & GiveFeedback>();
  readonly groups = new Map<string, Group>();
  readonly profiles = new Map<string, { preferences: Record<string, string>; favorites: Set<string> }>();
  /** How many generations were asked for, repeats of a request not counted. */
  created = 0;
  mood: ApiMood = "well";
  imageBytes: Uint8Array<ArrayBuffer> = PNG;
  readonly #now: () => number;
  readonly #streams = new Map<string, Set<ReadableStreamDefaultController<Uint8Array>>>();
  /** Which generation an Idempotency-Key made, and of which body. */
  readonly #keys = new Map<string, { id: string; body: string }>();
  readonly #released: (() => void)[] = [];

  constructor({ url = "http://edge.test", now }: { url?: string; now: () => number }) {
    this.url = url;
    this.#now = now;
  }

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const { pathname, searchParams } = new URL(request.url);
    if (this.mood === "hanging") await new Promise<void>((resolve) => this.#released.push(resolve));
    // As fetch does: who has given up before gets nothing.
    request.signal.throwIfAborted();
    if (this.mood === "down") throw new TypeError("connection refused");
    if (pathname === "/readyz") return this.#ready();
    if (pathname.startsWith("/i/")) return new Response(this.imageBytes, { headers: { "Content-Type": "image/png" } });
    if (request.headers.get("Authorization") !== `Bearer ${this.key}` || this.mood === "revoked")
      return problem(401, "key_revoked", "This key was revoked.");
    if (pathname === "/v1/models") return Response.json({ data: CATALOGUE });
    if (pathname === "/v1/usage") return Response.json({ data: [], quotas: this.#quotas(searchParams.get("group")) });
    if (pathname === "/v1/feedback") {
      const data = [...this.feedback.values()].filter(({ user }) => user === searchParams.get("user"));
      return Response.json({ data, next_cursor: null });
    }
    const [, judged] = /^\/v1\/generations\/([^/]+)\/feedback$/.exec(pathname) ?? [];
    if (judged) return this.#judge(judged, request);
    const [, group] = /^\/v1\/groups\/([^/]+)$/.exec(pathname) ?? [];
    if (group) return this.#group(decodeURIComponent(group), request);
    const [, profile, favorite] = /^\/v1\/profiles\/([^/]+)(?:\/favorites\/([^/]+))?$/.exec(pathname) ?? [];
    if (profile) return this.#profile(decodeURIComponent(profile), favorite, request);
    const [, id, verb] = /^\/v1\/generations(?:\/([^/]+))?(?:\/(cancel|events))?$/.exec(pathname) ?? [];
    if (id === undefined && request.method === "POST") return this.#create(request);
    if (id === undefined) return this.#list(searchParams);
    const generation = this.generations.get(id);
    if (!generation) return problem(404, "not_found", "There is no such generation.");
    if (verb === "events") return this.#events(id, Number(request.headers.get("Last-Event-ID") ?? 0), request.signal);
    if (verb === "cancel") {
      if (!isTerminal(generation.status)) this.end(id, { status: "canceled" });
      return Response.json(this.get(id));
    }
    if (request.method === "DELETE") {
      this.generations.delete(id);
      return new Response(null, { status: 204 });
    }
    return Response.json(generation);
  };

  /** Lets what hung go on. */
  release(): void {
    this.mood = "well";
    for (const go of this.#released.splice(0)) go();
  }

  /** What hung never comes through. */
  drop(): void {
    this.#released.length = 0;
  }

  get(id: string): Generation {
    const generation = this.generations.get(id);
    if (!generation) throw new Error(`the fake API has no generation ${id}`);
    return generation;
  }

  /** The newest generation. */
  last(): Generation {
    const last = [...this.generations.values()].at(-1);
    if (!last) throw new Error("nothing was asked for");
    return last;
  }

  progress(id: string, fraction: number, eta_seconds: number | null = 30): void {
    const steps = this.get(id).parameters.num_inference_steps;
    const progress: Progress = {
      fraction,
      step: Math.floor(fraction * steps),
      steps,
      queue_position: null,
      eta_seconds,
    };
    if (this.get(id).status === "queued") this.#change(id, { status: "running" }, "status", { status: "running" });
    this.#change(id, { progress }, "progress", progress);
  }

  succeed(id: string, { flagged = false } = {}): void {
    const { parameters } = this.get(id);
    const images = Array.from({ length: parameters.num_images }, (_, index) => ({
      index,
      url: `${this.url}/i/${id}${index}.png`,
      width: parameters.width,
      height: parameters.height,
      content_type: "image/png",
      sha256: "0".repeat(64),
      seed: parameters.seed + index,
      flagged,
      share_url: null,
    }));
    const reading = [{ tag: "purple cat", score: 0.9 }];
    this.end(id, { status: "succeeded", images, reading, metrics: { queue_ms: 10, run_ms: 900, total_ms: 1000 } });
  }

  fail(id: string, message: string): void {
    this.end(id, { status: "failed", error: { code: "runner_failed", message } });
  }

  end(id: string, fields: Partial<Generation>): void {
    const completed_at = new Date(this.#now()).toISOString();
    const ended = { ...this.get(id), progress: null, completed_at, ...fields };
    this.#change(id, ended, "completed", ended);
    for (const stream of this.#streams.get(id) ?? []) stream.close();
    this.#streams.delete(id);
  }

  /** Every open event stream breaks off, as when the edge is restarted. */
  breakStreams(): void {
    for (const streams of this.#streams.values())
      for (const stream of streams) stream.error(new TypeError("terminated"));
    this.#streams.clear();
  }

  async #judge(id: string, request: Request): Promise<Response> {
    const given = GiveFeedback.safeParse(await request.json());
    if (!given.success) return problem(422, "invalid_request", given.error.issues[0]?.message ?? "");
    if (!this.generations.has(id)) return problem(404, "not_found", "There is no such generation.");
    this.feedback.set(id, { generation: id, ...given.data });
    return Response.json({ generation: id, object: "feedback", ...given.data });
  }

  #quotas(group: string | null): Quota[] {
    const resets_at = null;
    const own = { policy: "user-images-per-day", limit: 100, remaining: 100 - this.created, resets_at };
    const here = this.groups.get(group ?? "")?.limits.images_per_day_per_user;
    if (!here) return [own];
    return [{ policy: "group-user-images-per-day", limit: here, remaining: here, resets_at }, own];
  }

  async #group(id: string, request: Request): Promise<Response> {
    const known: Group = this.groups.get(id) ?? { id, object: "group", limits: {}, users: {} };
    if (request.method === "GET") return Response.json(known);
    const change = UpdateGroup.safeParse(await request.json());
    if (!change.success) return problem(422, "invalid_request", change.error.issues[0]?.message ?? "");
    const users = Object.entries({ ...known.users, ...change.data.users }).filter(([, own]) => own !== null);
    const changed = { ...known, limits: change.data.limits ?? known.limits, users: Object.fromEntries(users) } as Group;
    this.groups.set(id, changed);
    return Response.json(changed);
  }

  async #profile(id: string, favorite: string | undefined, request: Request): Promise<Response> {
    const known = this.profiles.get(id) ?? { preferences: {}, favorites: new Set<string>() };
    if (favorite !== undefined) {
      if (request.method === "PUT" && !this.generations.has(favorite))
        return problem(404, "not_found", "There is no such generation.");
      known.favorites[request.method === "PUT" ? "add" : "delete"](favorite);
      this.profiles.set(id, known);
      return new Response(null, { status: 204 });
    }
    if (request.method === "DELETE") {
      this.profiles.delete(id);
      return new Response(null, { status: 204 });
    }
    if (request.method === "PATCH") {
      const change = UpdateProfile.safeParse(await request.json());
      if (!change.success) return problem(422, "invalid_request", change.error.issues[0]?.message ?? "");
      const kept = Object.entries({ ...known.preferences, ...change.data.preferences });
      known.preferences = Object.fromEntries(kept.filter(([, value]) => value !== null)) as Record<string, string>;
      this.profiles.set(id, known);
    }
    return Response.json({ id, object: "profile", preferences: known.preferences });
  }

  #ready(): Response {
    const ready = this.mood !== "busy";
    const runners = [{ name: "one", kind: "vignette", ready, circuit: null }];
    const degraded = ready ? [] : ["The runner one does not answer."];
    const state: Readiness = { ready, database: true, runner: ready, storage: true, degraded, runners } as Readiness;
    return Response.json(state, { status: ready ? 200 : 503 });
  }

  async #create(request: Request): Promise<Response> {
    if (this.mood === "busy") return problem(503, "models_unknown", "Come back.", { "Retry-After": "5" });
    if (this.mood === "quota") return problem(429, "quota_exceeded", "All used up.", { "Retry-After": "3600" });
    const body = CreateGeneration.safeParse(await request.json());
    if (!body.success) return problem(422, "invalid_request", body.error.issues[0]?.message ?? "");
    const { group, user } = body.data;
    if (this.groups.get(group ?? "")?.users[user ?? ""]?.images_per_day === 0)
      return problem(403, "user_blocked", "This end user may draw nothing in this group.");
    const key = request.headers.get("Idempotency-Key");
    const known = key ? this.#keys.get(key) : undefined;
    const text = JSON.stringify(body.data);
    if (known && known.body !== text)
      return problem(
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request; use a new one.",
      );
    if (known) return Response.json(this.get(known.id), { status: 202 });
    const now = this.#now();
    const id = newId("gen", now);
    if (key) this.#keys.set(key, { id, body: text });
    this.created++;
    const given = body.data;
    const self = `${this.url}/v1/generations/${id}`;
    const generation: Generation = {
      id,
      object: "generation",
      status: "queued",
      created_at: new Date(now).toISOString(),
      started_at: null,
      completed_at: null,
      model: given.model ?? "miniature",
      adapter: { id: "sur", scale: 1 },
      prompt: given.prompt,
      negative_prompt: given.negative_prompt ?? null,
      parameters: {
        width: given.width ?? 128,
        height: given.height ?? 128,
        num_inference_steps: given.num_inference_steps ?? 20,
        guidance_scale: given.guidance_scale ?? 4,
        scheduler: "DDIMScheduler",
        seed: given.seed ?? 1234,
        num_images: given.num_images,
        output_format: given.output_format,
      },
      reading: null,
      notice: null,
      progress: { fraction: 0, step: 0, steps: 20, queue_position: 0, eta_seconds: null },
      images: [],
      error: null,
      cached: false,
      metrics: { queue_ms: null, run_ms: null, total_ms: null },
      user: given.user ?? null,
      metadata: given.metadata ?? {},
      urls: { self, cancel: `${self}/cancel`, events: `${self}/events` },
    };
    this.generations.set(id, generation);
    if (this.mood === "deaf") throw new TypeError("connection reset");
    return Response.json(generation, { status: 202 });
  }

  #list(query: URLSearchParams): Response {
    const all = [...this.generations.values()]
      .reverse()
      .filter(
        ({ id, user, status }) =>
          (!query.has("favorite_of") || this.profiles.get(query.get("favorite_of") ?? "")?.favorites.has(id)) &&
          (!query.has("user") || user === query.get("user")) &&
          (!query.has("status") || status === query.get("status")),
      );
    const from = Number(query.get("cursor") ?? 0);
    const to = from + Number(query.get("limit") ?? 20);
    return Response.json({ data: all.slice(from, to), next_cursor: to < all.length ? String(to) : null });
  }

  #events(id: string, seen: number, signal: AbortSignal): Response {
    const generation = this.get(id);
    if (isTerminal(generation.status))
      return seen >= LAST
        ? new Response(null, { status: 204 })
        : new Response(frame(LAST, "completed", generation), { headers: { "Content-Type": "text/event-stream" } });
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller;
        this.#streams.set(id, (this.#streams.get(id) ?? new Set()).add(controller));
        controller.enqueue(frame(1, "status", { status: generation.status }));
        signal.addEventListener("abort", () => {
          if (this.#streams.get(id)?.delete(controller)) controller.error(signal.reason);
        });
      },
      cancel: () => void this.#streams.get(id)?.delete(mine),
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  #change(id: string, fields: Partial<Generation>, event: string, data: unknown): void {
    this.generations.set(id, { ...this.get(id), ...fields });
    const text = frame(event === "completed" ? LAST : 2, event, data);
    for (const stream of this.#streams.get(id) ?? []) stream.enqueue(text);
  }
}

const LAST = 1000;
const frame = (id: number, event: string, data: unknown): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`) as Uint8Array<ArrayBuffer>;

function problem(status: number, code: string, detail: string, headers: Record<string, string> = {}): Response {
  const body = {
    type: `urn:vignette:problem:${code}`,
    title: code,
    status,
    detail,
    instance: "/",
    code,
    request_id: "req_1",
  };
  return Response.json(body, { status, headers });
}
