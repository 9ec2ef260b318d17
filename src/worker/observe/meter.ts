/** What one request, message or alarm has cost so far, in the operations that Cloudflare bills. */
export interface Counts {
  /** Trips to D1; a batch is one. */
  d1: number;
  rows_read: number;
  rows_written: number;
  /** R2 operations of class A (put, list) and B (get, head); deletes are free. */
  r2_a: number;
  r2_b: number;
  /** Messages sent; each is written, read and deleted. */
  queue: number;
  /** Requests to Durable Objects. */
  objects: number;
}

export function noCounts(): Counts {
  return { d1: 0, rows_read: 0, rows_written: 0, r2_a: 0, r2_b: 0, queue: 0, objects: 0 };
}

/** The counts that are not nought, for a line in the log. */
export function counted(counts: Counts): Partial<Counts> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

export function minus(counts: Counts, before: Counts): Counts {
  const names = Object.keys(counts) as (keyof Counts)[];
  return Object.fromEntries(names.map((name) => [name, counts[name] - before[name]])) as unknown as Counts;
}

const INNER = Symbol("statement");

/** A database whose trips and rows are counted. */
export function meterD1(db: D1Database, counts: Counts): D1Database {
  const note = <T>(result: D1Result<T>): D1Result<T> => {
    counts.rows_read += result.meta.rows_read ?? 0;
    counts.rows_written += result.meta.rows_written ?? 0;
    return result;
  };
  const statement = (inner: D1PreparedStatement): D1PreparedStatement =>
    ({
      [INNER]: inner,
      bind: (...values: unknown[]) => statement(inner.bind(...values)),
      // The same request as `first`, whose answer would not tell the rows.
      async first(column?: string) {
        counts.d1++;
        const [row] = note(await inner.all<Record<string, unknown>>()).results;
        return row === undefined ? null : column === undefined ? row : (row[column] ?? null);
      },
      async all() {
        counts.d1++;
        return note(await inner.all());
      },
      async run() {
        counts.d1++;
        return note(await inner.run());
      },
      raw(options: never) {
        counts.d1++;
        return inner.raw(options);
      },
      // A literal cannot have the overloads of D1PreparedStatement; every method of it is here.
    }) as unknown as D1PreparedStatement;
  return {
    prepare: (sql: string) => statement(db.prepare(sql)),
    async batch<T>(statements: D1PreparedStatement[]) {
      counts.d1++;
      const inner = statements.map((each) => (each as unknown as { [INNER]: D1PreparedStatement })[INNER]);
      return (await db.batch<T>(inner)).map(note);
    },
    // No code of ours uses the rest.
  } as unknown as D1Database;
}

/** A bucket whose operations are counted. Written out: a proxy would cost a tenth of serving an image. */
export function meterR2(bucket: R2Bucket, counts: Counts): Pick<R2Bucket, "get" | "head" | "put" | "list" | "delete"> {
  return {
    get(key: string, options?: R2GetOptions) {
      counts.r2_b++;
      return options === undefined ? bucket.get(key) : bucket.get(key, options);
    },
    head(key) {
      counts.r2_b++;
      return bucket.head(key);
    },
    put(key: string, value: ArrayBuffer, options?: R2PutOptions) {
      counts.r2_a++;
      return bucket.put(key, value, options);
    },
    list(options) {
      counts.r2_a++;
      return bucket.list(options);
    },
    delete: (keys) => bucket.delete(keys),
    // A literal cannot have the overloads of R2Bucket.
  } as Pick<R2Bucket, "get" | "head" | "put" | "list" | "delete">;
}

/** A queue whose messages are counted. */
export function meterQueue<T>(queue: Queue<T>, counts: Counts): Pick<Queue<T>, "send"> {
  return {
    send(message, options) {
      counts.queue++;
      return queue.send(message, options);
    },
  };
}

/** A namespace whose objects' requests are counted. */
export function meterObjects<T extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<T>,
  counts: Counts,
): DurableObjectNamespace<T> {
  return {
    idFromName: (name: string) => namespace.idFromName(name),
    get: (id: DurableObjectId) => calls(namespace.get(id), () => void counts.objects++),
    // No code of ours uses the rest.
  } as unknown as DurableObjectNamespace<T>;
}

/** The same object, telling the name of every method that is called. */
function calls<T extends object>(target: T, tell: (name: string) => void): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name) as unknown;
      if (typeof value !== "function" || typeof name !== "string") return value;
      return (...args: unknown[]) => {
        tell(name);
        return (object as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args);
      };
    },
  });
}
