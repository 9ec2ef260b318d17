/** Time as the bots see it, so that tests can move it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `ms`, or as soon as the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
      if (signal?.aborted) done();
    }),
};

/**
 * Shows the newest state at most once per interval. States in between are left out, the last one never is, and no two
 * are under way at once.
 */
export class Pace<State> {
  readonly #show: (state: State) => Promise<void>;
  readonly #clock: Clock;
  readonly #interval: number;
  #next: { state: State } | null = null;
  #notBefore: number;
  #running: Promise<void> | null = null;
  #failure: { error: unknown } | null = null;
  readonly #closed = new AbortController();
  /** Nothing has been shown yet, so the last state need not wait for anything. */
  #fresh = true;

  /** @param grace milliseconds before the first state may be shown */
  constructor(
    show: (state: State) => Promise<void>,
    { clock, interval, grace = 0 }: { clock: Clock; interval: number; grace?: number },
  ) {
    this.#show = show;
    this.#clock = clock;
    this.#interval = interval;
    this.#notBefore = clock.now() + grace;
  }

  /** Whether the last state was handed in. */
  get finished(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Shows this state when its time comes, unless a newer one takes its place. */
  offer(state: State): void {
    if (this.#closed.signal.aborted) return;
    this.#next = { state };
    this.#running ??= this.#run();
  }

  /** Shows the last state, waiting out the interval but no grace. @throws what showing it threw */
  async finish(state: State): Promise<void> {
    this.#next = null;
    this.#closed.abort();
    await this.#running;
    if (!this.#fresh) await this.#clock.sleep(Math.max(0, this.#notBefore - this.#clock.now()));
    this.#fresh = false;
    this.#notBefore = this.#clock.now() + this.#interval;
    await this.#show(state);
  }

  /** Shows nothing more. */
  async stop(): Promise<void> {
    this.#next = null;
    this.#closed.abort();
    await this.#running;
  }

  /** What showing a state threw, once; progress that fails is the follower's to judge. */
  takeFailure(): { error: unknown } | null {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  }

  async #run(): Promise<void> {
    while (this.#next) {
      await this.#clock.sleep(Math.max(0, this.#notBefore - this.#clock.now()), this.#closed.signal);
      const next: { state: State } | null = this.#next;
      this.#next = null;
      if (!next || this.#closed.signal.aborted) break;
      this.#fresh = false;
      this.#notBefore = this.#clock.now() + this.#interval;
      try {
        await this.#show(next.state);
      } catch (error) {
        this.#failure = { error };
      }
      // Counted from the answer: what the platform saw last may be younger than what was sent.
      this.#notBefore = this.#clock.now() + this.#interval;
    }
    this.#running = null;
  }
}
