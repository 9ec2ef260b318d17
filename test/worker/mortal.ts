import type { Bindings, DeliveryMessage, GenerationMessage } from "../../src/worker/env.ts";

/** What befalls an isolate at one of its calls: `after` means that the call did its work and the answer was lost. */
export const FAULTS = ["dies before", "dies after", "fails before", "fails after"] as const;
export type Fault = (typeof FAULTS)[number];

type Method = (...args: unknown[]) => Promise<unknown>;

/**
 * The worker's bindings as one isolate sees them that dies, or is answered with an error, at its `at`-th call to anything
 * outside itself. Calls that a dead isolate would still make go nowhere and never return.
 */
export class MortalIsolate {
  /** The calls so far. */
  readonly calls: string[] = [];
  /** What it put into its queues; nothing delivers it by itself. */
  readonly sent: { body: GenerationMessage | DeliveryMessage; delaySeconds: number }[] = [];
  readonly env: Bindings;
  readonly #at: number;
  readonly #fault: Fault;
  readonly #death = Promise.withResolvers<"died">();
  #dead = false;

  /** @param at from 1 */
  constructor(env: Bindings, at: number, fault: Fault) {
    this.#at = at;
    this.#fault = fault;
    this.env = {
      ...env,
      DB: this.#database(env.DB),
      IMAGES: this.#bucket(env.IMAGES),
      GENERATIONS: this.#queue("GENERATIONS"),
      WEBHOOKS: this.#queue("WEBHOOKS"),
      GENERATION: this.#objects("GENERATION", env.GENERATION),
      LIMITS: this.#objects("LIMITS", env.LIMITS),
      COARSE_LIMIT: this.#methods(
        "COARSE_LIMIT",
        env.COARSE_LIMIT as unknown as Record<string, Method>,
      ) as unknown as RateLimit,
    };
  }

  /** Lets it work until it and what it does in the background is over, or it dies. Answers what it had answered by then. */
  async run(work: (env: Bindings, ctx: ExecutionContext) => Response | Promise<Response>): Promise<Response | null> {
    let answer: Response | null = null;
    const background: Promise<unknown>[] = [];
    // Not one of the test environment's contexts, which it would wait for in vain when the isolate dies.
    const ctx = {
      waitUntil: (work: Promise<unknown>) => void background.push(Promise.allSettled([work])),
    } as unknown as ExecutionContext;
    const life = async () => {
      const response = await work(this.env, ctx);
      // With its body, which a dead isolate would not send on.
      answer = new Response(response.body && (await response.arrayBuffer()), response);
      for (const each of background) await each;
    };
    await Promise.race([life(), this.#death.promise]);
    return answer;
  }

  /** Makes one call, unless fate is against it. */
  async call<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#dead) return new Promise(() => {});
    this.calls.push(name);
    if (this.calls.length !== this.#at) return work();
    if (this.#fault.endsWith("after")) await work();
    if (this.#fault.startsWith("fails")) throw new Error(`${name} failed, as the test wants it`);
    this.#dead = true;
    this.#death.resolve("died");
    return new Promise(() => {});
  }

  #database(db: D1Database): D1Database {
    const inner = new WeakMap<object, D1PreparedStatement>();
    const statement = (name: string, real: D1PreparedStatement): D1PreparedStatement => {
      const wrapped = {
        bind: (...values: unknown[]) => statement(name, real.bind(...values)),
        all: () => this.call(name, () => real.all()),
        run: () => this.call(name, () => real.run()),
        // What the worker's meter calls.
      } as unknown as D1PreparedStatement;
      inner.set(wrapped, real);
      return wrapped;
    };
    return {
      prepare: (sql: string) => statement(`D1 ${sql.trim().slice(0, 40)}`, db.prepare(sql)),
      batch: (statements: D1PreparedStatement[]) =>
        this.call("D1 batch", () => db.batch(statements.map((each) => inner.get(each) ?? each))),
    } as unknown as D1Database;
  }

  #bucket(bucket: R2Bucket): R2Bucket {
    return this.#methods("R2", bucket as unknown as Record<string, Method>) as unknown as R2Bucket;
  }

  #queue<T extends GenerationMessage | DeliveryMessage>(name: string): Queue<T> {
    return {
      send: (body: T, { delaySeconds = 0 }: QueueSendOptions = {}) =>
        this.call(`${name}.send`, async () => void this.sent.push({ body, delaySeconds })),
    } as unknown as Queue<T>;
  }

  #objects<T extends Rpc.DurableObjectBranded>(
    name: string,
    namespace: DurableObjectNamespace<T>,
  ): DurableObjectNamespace<T> {
    return {
      idFromName: (id: string) => namespace.idFromName(id),
      get: (id: DurableObjectId) => this.#methods(name, namespace.get(id) as unknown as Record<string, Method>),
    } as unknown as DurableObjectNamespace<T>;
  }

  #methods(name: string, target: Record<string, Method>): Record<string, Method> {
    return new Proxy(target, {
      get:
        (_, method: string) =>
        (...args: unknown[]) =>
          this.call(`${name}.${method}`, async () => (target[method] as Method)(...args)),
    });
  }
}
