import { effect } from "@preact/signals";
import type { Client } from "../../client/index.ts";
import type { CreateGenerationInput, Generation } from "../../contract/generation.ts";
import { reachable } from "./api.ts";
import { explain, type Trouble } from "./trouble.ts";

/** How often a picture shows itself while it is drawn. */
const PREVIEWS = 8;

/**
 * Sends a request until it is accepted or refused: a server that cannot be reached is waited for, and the key lets a
 * repeat draw nothing twice. What was sent is not called back when `signal` says that nobody waits for it any more.
 *
 * @param waits told why it waits, and null when it goes on
 */
export async function send(
  client: Client,
  request: CreateGenerationInput,
  signal: AbortSignal,
  waits: (trouble: Trouble | null) => void,
): Promise<Generation> {
  const idempotencyKey = crypto.randomUUID();
  for (;;) {
    try {
      return await client.generations.create({ ...request, previews: PREVIEWS }, { idempotencyKey });
    } catch (error) {
      if (signal.aborted || !(error instanceof TypeError)) throw error;
      waits(explain(error));
      await reachableAgain(signal);
      waits(null);
    }
  }
}

function reachableAgain(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = effect(() => {
      if (reachable.value) resolve();
    });
    signal.addEventListener("abort", () => {
      stop();
      reject(signal.reason);
    });
  });
}
