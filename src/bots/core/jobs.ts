import type { Client } from "../../client/index.ts";
import type { Generation } from "../../contract/generation.ts";
import { type Canvas, follow, MessageLost } from "./follow.ts";
import type { Origin } from "./origin.ts";
import type { Clock } from "./pace.ts";

/** Who keeps the messages of jobs true: this process, or an object at the edge. */
export interface Jobs {
  /** Takes a job's message up, or on with a fresh right to edit it. Settles when nothing more will be shown, or another keeps it. */
  follow(generation: Generation, origin: Origin): Promise<void>;
}

export interface LocalJobsOptions {
  api: Client;
  clock: Clock;
  interval: number;
  grace: number;
  canvas: (origin: Origin, generation: Generation) => Canvas | Promise<Canvas>;
  /** Tells who asked that the message is gone, where there is a way to. */
  lost: (generation: Generation, origin: Origin) => Promise<void>;
  /** Told of what went wrong, without a word of the prompt. */
  log: (event: Record<string, unknown>) => void;
}

/** Jobs that this process follows; it knows nothing that a new one would not find out. */
export class LocalJobs implements Jobs {
  readonly #options: LocalJobsOptions;
  readonly #running = new Map<string, { stop: AbortController; ended: Promise<void> }>();
  readonly #closed = new AbortController();

  constructor(options: LocalJobsOptions) {
    this.#options = options;
  }

  async follow(generation: Generation, origin: Origin): Promise<void> {
    const before = this.#running.get(generation.id);
    const stop = new AbortController();
    const ended = this.#run(generation, origin, before, AbortSignal.any([stop.signal, this.#closed.signal]));
    this.#running.set(generation.id, { stop, ended });
    await ended;
    if (this.#running.get(generation.id)?.stop === stop) this.#running.delete(generation.id);
  }

  /** Stops following; the jobs go on, and whoever starts next takes their messages up. */
  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #run(
    generation: Generation,
    origin: Origin,
    before: { stop: AbortController; ended: Promise<void> } | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    // Two followers of one message would edit it twice as often.
    before?.stop.abort();
    await before?.ended;
    await keep(generation, origin, this.#options, signal);
  }
}

/** Keeps a job's message true until nothing more will be shown, or the signal aborts; what goes wrong is told. */
export async function keep(
  generation: Generation,
  origin: Origin,
  { api, clock, interval, grace, canvas, lost, log }: LocalJobsOptions,
  signal: AbortSignal,
): Promise<void> {
  const { id } = generation;
  try {
    await follow(generation, origin, await canvas(origin, generation), { api, clock, interval, grace, signal });
  } catch (error) {
    const gone = error instanceof MessageLost;
    const name = error instanceof Error ? error.name : "unknown";
    log({ event: gone ? "message_lost" : "show_failed", generation: id, error: name });
    if (gone) await lost(generation, origin).catch(() => log({ event: "tell_failed", generation: id }));
  }
}
