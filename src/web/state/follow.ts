import type { Client } from "../../client/index.ts";
import type { Preview } from "../../contract/events.ts";
import type { Generation, Progress, Status } from "../../contract/generation.ts";
import { isTerminal } from "../../contract/terms.ts";

/** How long a stream may say nothing before the generation is asked for by hand. */
const QUIET_MS = 4_000;
const POLL_MS = 1_500;
const LONGEST_PAUSE_MS = 10_000;

export interface Watcher {
  status(status: Status): void;
  progress(progress: Progress): void;
  preview?(preview: Preview): void;
  /** Whether news come by the stream or by asking. */
  channel(kind: "stream" | "polling"): void;
}

/**
 * Follows a generation to its end by its event stream; while that is silent or broken, by asking again and again. A
 * server that cannot be reached is waited for.
 *
 * @throws what the API refuses: the key, a generation that is not there
 */
export async function follow(client: Client, id: string, watcher: Watcher, signal: AbortSignal): Promise<Generation> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  let heard = performance.now();
  let broken = false;
  const stream = async (): Promise<Generation> => {
    for await (const event of client.generations.events(id, { signal: either })) {
      heard = performance.now();
      watcher.channel("stream");
      if (event.type === "completed") return event.data;
      if (event.type === "status") watcher.status(event.data.status);
      if (event.type === "progress") watcher.progress(event.data);
      if (event.type === "preview") watcher.preview?.(event.data);
    }
    return client.generations.get(id, { signal: either });
  };
  const poll = async (): Promise<Generation> => {
    for (let failures = 0; ; ) {
      await pause(Math.min(LONGEST_PAUSE_MS, POLL_MS * 2 ** failures), either);
      if (!broken && performance.now() - heard < QUIET_MS) continue;
      try {
        const generation = await client.generations.get(id, { signal: either });
        failures = 0;
        if (isTerminal(generation.status)) return generation;
        watcher.channel("polling");
        watcher.status(generation.status);
        if (generation.progress) watcher.progress(generation.progress);
      } catch (error) {
        if (either.aborted || isRefusal(error)) throw error;
        failures++;
      }
    }
  };
  const streaming = stream().catch((error) => {
    if (either.aborted || isRefusal(error)) throw error;
    // Only the stream is lost: asking goes on.
    broken = true;
    return new Promise<Generation>(() => {});
  });
  try {
    return await Promise.race([streaming, poll()]);
  } finally {
    over.abort();
  }
}

/** The API's own no, which asking again would not change. */
function isRefusal(error: unknown): boolean {
  const status = (error as { status?: unknown }).status;
  return typeof status === "number" && status >= 400 && status < 500 && status !== 429;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop);
  });
}
