interface Shelf<Value> {
  readonly entries: Map<string, { value: Value; at: number }>;
  /** Of all entries together. */
  size: number;
}

/**
 * What an isolate remembers for a while to spare trips to D1 and R2: at most so many entries, and where values have a
 * size, at most so much of it together; the oldest forgotten first. Each configuration has its own, so that environments
 * that share an isolate do not share what they know.
 */
export class Memory<Value> {
  readonly #byConfig = new WeakMap<object, Shelf<Value>>();
  readonly #ms: number;
  readonly #entries: number;
  readonly #size: number;
  readonly #sizeOf: (value: Value) => number;

  constructor({
    ms,
    entries,
    size = Number.POSITIVE_INFINITY,
    sizeOf = () => 0,
  }: {
    ms: number;
    entries: number;
    size?: number;
    sizeOf?: (value: Value) => number;
  }) {
    this.#ms = ms;
    this.#entries = entries;
    this.#size = size;
    this.#sizeOf = sizeOf;
  }

  get(config: object, name: string, now: number): Value | undefined {
    const known = this.#of(config).entries.get(name);
    return known && now - known.at < this.#ms ? known.value : undefined;
  }

  set(config: object, name: string, value: Value, now: number): void {
    const shelf = this.#of(config);
    this.#drop(shelf, name);
    shelf.entries.set(name, { value, at: now });
    shelf.size += this.#sizeOf(value);
    for (const oldest of shelf.entries.keys()) {
      if (shelf.entries.size <= this.#entries && shelf.size <= this.#size) break;
      this.#drop(shelf, oldest);
    }
  }

  delete(config: object, name: string): void {
    this.#drop(this.#of(config), name);
  }

  /** Forgets what is so. */
  forget(config: object, isSo: (value: Value) => boolean): void {
    const shelf = this.#of(config);
    for (const [name, { value }] of shelf.entries) if (isSo(value)) this.#drop(shelf, name);
  }

  #drop(shelf: Shelf<Value>, name: string): void {
    const known = shelf.entries.get(name);
    if (!known) return;
    shelf.entries.delete(name);
    shelf.size -= this.#sizeOf(known.value);
  }

  #of(config: object): Shelf<Value> {
    const known = this.#byConfig.get(config);
    if (known) return known;
    const fresh: Shelf<Value> = { entries: new Map(), size: 0 };
    this.#byConfig.set(config, fresh);
    return fresh;
  }
}
