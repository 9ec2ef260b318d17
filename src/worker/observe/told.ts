import type { Deps } from "../deps.ts";
import { counted } from "./meter.ts";

/** Does some work that no request asked for, and writes one line about it: what it was, how long, at what cost. */
export async function told<T>(deps: Deps, about: Record<string, unknown>, work: () => Promise<T>): Promise<T> {
  const started = Date.now();
  try {
    return await work();
  } finally {
    console.log(JSON.stringify({ ...about, ms: Date.now() - started, ...counted(deps.counts) }));
  }
}
