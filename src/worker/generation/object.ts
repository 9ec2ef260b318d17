import { DurableObject } from "cloudflare:workers";
import type { GenerationEvent, Preview } from "../../contract/events.ts";
import { type Generation, isTerminal, type Progress, type Status } from "../../contract/generation.ts";
import { makeDeps } from "../deps.ts";
import type { Bindings } from "../env.ts";
import { told } from "../observe/told.ts";
import { CHECK_MS, check, WAITING_MS } from "../services/check.ts";
import { generationStore } from "../storage/generations.ts";
import {
  append,
  endOf,
  type History,
  isLasting,
  newHistory,
  progressAt,
  progressOf,
  revived,
  waitingAt,
} from "./history.ts";
import { EVENT_STREAM, Subscriber } from "./stream.ts";

/** How long an ended generation's events stay for clients that come back; later the row in D1 answers. */
const KEEP_MS = 60 * 60 * 1000;
/** How often a watched generation's place in line is looked at. */
const LINE_MS = 5_000;
const FIRST_LOOK_MS = 1_000;
const STATE = "history";
/** Set by a caller that knows the generation to be over: no stream is opened that nothing would end. */
export const OVER = "X-Generation-Over";

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * One generation while it lives: its progress, who listens to it, and the alarm that looks after it when no callback
 * comes. D1 stays the truth; losing this object loses progress, never a generation.
 */
export class GenerationObject extends DurableObject<Bindings> {
  readonly #streams = new Set<Subscriber>();
  readonly #waiting = new Set<(generation: Generation) => void>();
  #history: History | null = null;
  #heardAt: number | null = null;
  #watching = false;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const stored = await ctx.storage.get<History>(STATE);
      this.#history = stored ? revived(stored) : null;
    });
  }

  /** Begins the history of an accepted generation and its watch. */
  async open(generationId: string, now: number, waits: boolean): Promise<void> {
    if (this.#history && isTerminal(this.#history.status)) return;
    if (!this.#history) this.#report(generationId, { type: "status", data: { status: "queued" } }, now);
    await this.ctx.storage.setAlarm(now + (waits ? WAITING_MS : CHECK_MS));
  }

  /** Adds an event; late ones change nothing. */
  async report(generationId: string, event: GenerationEvent, now: number): Promise<void> {
    this.#report(generationId, event, now);
  }

  /** Lets a generation that waits for this one's pictures hear of its progress. */
  async follow(followerId: string): Promise<void> {
    if (!this.#history || isTerminal(this.#history.status)) return;
    this.#history.followers = [...(this.#history.followers ?? []), followerId];
    this.#store(this.#history);
  }

  /** Notes the runner's steps; answers the status that this object knows, so that the caller can see it is new. */
  async steps(generationId: string, step: number, steps: number, previews: Preview[], now: number): Promise<Status> {
    this.#heardAt = now;
    const since = this.#history?.runningSince ?? now;
    this.#report(generationId, { type: "progress", data: progressAt(step, steps, now - since) }, now);
    for (const preview of previews) this.#report(generationId, { type: "preview", data: preview }, now);
    return this.#history?.status ?? "queued";
  }

  async status(): Promise<Status> {
    return this.#history?.status ?? "queued";
  }

  async progress(): Promise<Progress | null> {
    return this.#history && progressOf(this.#history);
  }

  async heardAt(): Promise<number | null> {
    return this.#heardAt;
  }

  /** Forgets everything: the generation was deleted, after it had ended. */
  async forget(): Promise<void> {
    for (const subscriber of this.#streams) subscriber.end();
    this.#streams.clear();
    this.#history = null;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  /** The ended generation, as soon as it ends; null when that takes longer than `ms` milliseconds. */
  async wait(ms: number): Promise<Generation | null> {
    const ended = this.#history && endOf(this.#history);
    if (ended) return ended;
    return new Promise((resolve) => {
      const done = (generation: Generation | null) => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve(generation);
      };
      const timer = setTimeout(() => done(null), ms);
      this.#waiting.add(done);
    });
  }

  /**
   * The event stream. `Last-Event-ID` resumes after that event; a client that has seen the end gets 204, which tells
   * an EventSource to stop reconnecting (HTML standard, section 9.2.3).
   */
  override async fetch(request: Request): Promise<Response> {
    const seen = Number(request.headers.get("Last-Event-ID") ?? 0);
    const history = this.#history;
    const ended = history !== null && isTerminal(history.status);
    const missed = history?.events.filter(({ id }) => id > seen) ?? [];
    if (!ended && request.headers.has(OVER)) return new Response(null, { status: 404 });
    if (ended && missed.length === 0) return new Response(null, { status: 204 });
    const subscriber = new Subscriber((gone) => this.#streams.delete(gone));
    for (const event of missed) subscriber.send(event);
    if (ended) subscriber.end();
    else this.#streams.add(subscriber);
    if (history?.status === "queued") this.ctx.waitUntil(this.#watchLine(history.generationId));
    return new Response(subscriber.body, { headers: EVENT_STREAM });
  }

  override async alarm(): Promise<void> {
    const history = this.#history;
    if (!history || isTerminal(history.status)) {
      this.#history = null;
      await this.ctx.storage.deleteAll();
      return;
    }
    let next: number | null = Date.now() + CHECK_MS;
    try {
      const deps = makeDeps(this.env, this.ctx);
      const { generationId } = history;
      next = await told(deps, { event: "alarm", generation: generationId }, () => check(deps, generationId));
    } catch (error) {
      console.error(JSON.stringify({ event: "check_failed", generation: history.generationId, error: String(error) }));
    }
    // A check that found the end has reported it, which set the alarm that clears this object.
    if (isTerminal(history.status)) return;
    if (next === null) await this.ctx.storage.deleteAll();
    else await this.ctx.storage.setAlarm(next);
  }

  #store(history: History): void {
    const lasting = { ...history, events: history.events.filter(isLasting) };
    void this.ctx.storage.put(STATE, lasting, { allowUnconfirmed: true });
  }

  /** As long as somebody watches it wait: how many are before it. */
  async #watchLine(generationId: string): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    try {
      const generations = generationStore(this.env.DB);
      // Most are taken before anybody could read their place.
      await rest(FIRST_LOOK_MS);
      while (this.#streams.size > 0 && this.#history?.status === "queued") {
        const row = await generations.load(generationId);
        if (row?.status !== "queued") return;
        const data = waitingAt(row.parameters.num_inference_steps, await generations.ahead(row));
        this.#report(generationId, { type: "progress", data }, Date.now());
        await rest(LINE_MS);
      }
    } catch (error) {
      console.error(JSON.stringify({ event: "line_unknown", generation: generationId, error: String(error) }));
    } finally {
      this.#watching = false;
    }
  }

  async #relay(followerId: string, event: GenerationEvent, now: number): Promise<void> {
    const { GENERATION } = this.env;
    // Progress is worth one try: the next one follows soon.
    await GENERATION.get(GENERATION.idFromName(followerId))
      .report(followerId, event, now)
      .catch(() => {});
  }

  #report(generationId: string, event: GenerationEvent, now: number): void {
    this.#history ??= newHistory(generationId);
    const entry = append(this.#history, event, now);
    if (!entry) return;
    for (const subscriber of this.#streams) subscriber.send(entry);
    if (event.type === "progress" || event.type === "preview") {
      for (const id of this.#history.followers ?? []) this.ctx.waitUntil(this.#relay(id, event, now));
      return;
    }
    // Unconfirmed, so that no answer waits for this write: what is lost with it, D1 still knows.
    this.#store(this.#history);
    if (event.type !== "completed") return;
    void this.ctx.storage.setAlarm(now + KEEP_MS, { allowUnconfirmed: true });
    for (const done of this.#waiting) done(event.data);
    for (const subscriber of this.#streams) subscriber.end();
    this.#streams.clear();
  }
}
