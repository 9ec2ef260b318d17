import { setTimeout as delay } from "node:timers/promises";
import { serve } from "../../test/bots/http.ts";
import { FakeRunner } from "../../test/fakes/replicate.ts";

const TRIES = 12;

export interface RunnerOptions {
  token: string;
  secret: string;
  /** How long a picture takes, in milliseconds. */
  drawMs: number;
  /** How many it works on at once; more are refused with 503. */
  capacity: number;
  /** Which share of the requests that reach it breaks off, 0 to 1. */
  fails?: number;
  /** How many steps it tells of. */
  steps?: number;
}

/** The strict double of the tests, drawing by itself: what the edge is measured with where no GPU is. */
export class SelfDrawingRunner extends FakeRunner {
  readonly #options: RunnerOptions;
  #atWork = 0;
  /** Raised by every death: what was under way then is never heard of again. */
  #life = 0;
  #close: () => Promise<void> = async () => {};
  /** While false, predictions begin only when `begin` is called. */
  automatic = true;

  private constructor(options: RunnerOptions, url: string) {
    super({ url, token: options.token, secret: options.secret, deliver: (request) => fetch(request) });
    this.#options = options;
  }

  static async start(options: RunnerOptions): Promise<SelfDrawingRunner> {
    let runner: SelfDrawingRunner | undefined;
    const server = await serve(async (request) => runner?.answer(request) ?? new Response(null, { status: 503 }));
    runner = new SelfDrawingRunner(options, server.origin);
    runner.#close = server.close;
    return runner;
  }

  stop(): Promise<void> {
    return this.#close();
  }

  /** Forgets everything and answers nothing for a while, as a process that is killed and restarted. */
  async die(ms: number): Promise<void> {
    this.#life++;
    this.#atWork = 0;
    this.forget();
    this.mood = "down";
    await delay(ms);
    this.mood = "well";
  }

  async answer(request: Request): Promise<Response> {
    const creates = request.method === "PUT";
    if (this.mood !== "down") this.mood = creates && this.#atWork >= this.#options.capacity ? "busy" : "well";
    if (Math.random() < (this.#options.fails ?? 0)) return new Response("<h1>Bad gateway</h1>", { status: 502 });
    return this.fetch(request);
  }

  override async accept(...args: Parameters<FakeRunner["accept"]>): Promise<Response> {
    const answer = await super.accept(...args);
    this.#atWork++;
    if (this.automatic) void this.begin(args[0].id);
    return answer;
  }

  /** Draws one to its end, telling the edge as the real runner does: what is not taken is sent again. */
  async begin(id: string): Promise<void> {
    const life = this.#life;
    const { drawMs, steps = 2 } = this.#options;
    const alive = () => life === this.#life && this.predictions.get(id)?.status !== "canceled";
    const tell = async (what: () => Promise<Response | null>, tries: number) => {
      for (let attempt = 1; attempt <= tries && alive(); attempt++) {
        const answer = await what().catch(() => null);
        if (answer?.ok) return;
        await delay(Math.min(5_000, 100 * 2 ** attempt));
      }
    };
    await tell(() => this.start(id), 1);
    for (let step = 1; step <= steps && alive(); step++) {
      await delay(drawMs / steps);
      if (alive() && step < steps) await tell(() => this.progress(id, step, steps), 1);
    }
    if (alive()) await tell(() => this.succeed(id), TRIES);
    if (life === this.#life) this.#atWork--;
  }
}
