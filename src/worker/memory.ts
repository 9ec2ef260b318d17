/**
 * What an isolate remembers for a while to spare trips to D1: at most so many entries, the oldest forgotten first. Each
 * configuration has its own, so that environments that share an isolate do not share what they know.
 */
export class Memory<Value> {
  readonly #byConfig = new WeakMap<object, Map<string, { value: Value; at: number }>>();
  readonly #ms: number;
  readonly #entries: number;

  constructor({ ms, entries }: { ms: number; entries: number }) {
    this.#ms = ms;
    this.#entries = entries;
  }

  get(config: object, name: string, now: number): Value | undefined {
    const known = this.#of(config).get(name);
    return known && now - known.at < this.#ms ? known.value : undefined;
  }

  set(config: object, name: string, value: Value, now: number): void {
    const memory = this.#of(config);
    memory.delete(name);
    if (memory.size >= this.#entries) memory.delete(memory.keys().next().value ?? "");
    memory.set(name, { value, at: now });
  }

  delete(config: object, name: string): void {
    this.#of(config).delete(name);
  }

  /** Forgets what is so. */
  forget(config: object, isSo: (value: Value) => boolean): void {
    const memory = this.#of(config);
    for (const [name, { value }] of memory) if (isSo(value)) memory.delete(name);
  }

  #of(config: object): Map<string, { value: Value; at: number }> {
    const known = this.#byConfig.get(config);
    if (known) return known;
    const fresh = new Map<string, { value: Value; at: number }>();
    this.#byConfig.set(config, fresh);
    return fresh;
  }
}
