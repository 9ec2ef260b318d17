type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What a Durable Object's methods find on `this`. */
interface Metered {
  ctx: DurableObjectState;
  env: { METER_OBJECTS?: string };
}

/** Each of these writes one row (developers.cloudflare.com/durable-objects/platform/pricing). */
const ONE_ROW = ["put", "setAlarm", "delete", "deleteAll"];

const tell = (costs: object) => console.log(JSON.stringify({ event: "object", ...costs }));

/**
 * Lets the objects of a class tell how long they work and how many rows they write: the edge's own lines count requests to
 * objects, not what those cost inside. Only where METER_OBJECTS is set: its lines would slow down what another bench measures.
 */
export function meterObjects({ prototype }: { prototype: object }): void {
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === "constructor" || typeof property.value !== "function") continue;
    Object.defineProperty(prototype, name, { ...property, value: timed(property.value as Method) });
  }
}

function timed(method: Method): Method {
  return async function timed(...args) {
    const { ctx, env } = this as Metered;
    if (!env.METER_OBJECTS) return method.apply(this, args);
    meterWrites(ctx.storage);
    const began = Date.now();
    try {
      return await method.apply(this, args);
    } finally {
      tell({ object_ms: Date.now() - began });
    }
  };
}

let metered = false;

/** Every object's storage has the same prototypes. */
function meterWrites(storage: DurableObjectStorage): void {
  if (metered) return;
  metered = true;
  const own = Object.getPrototypeOf(storage) as Record<string, Method>;
  for (const name of ONE_ROW) {
    const write = own[name] as Method;
    own[name] = function counted(...args) {
      tell({ object_rows: 1 });
      return write.apply(this, args);
    };
  }
  const sql = Object.getPrototypeOf(storage.sql) as Record<string, Method>;
  const exec = sql.exec as Method;
  sql.exec = function counted(...args) {
    const cursor = exec.apply(this, args) as SqlStorageCursor<never>;
    // Whoever asked has read its answer by then.
    queueMicrotask(() => tell({ object_rows: cursor.rowsWritten }));
    return cursor;
  };
}
