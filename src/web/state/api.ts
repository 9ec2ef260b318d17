import { computed, effect, signal } from "@preact/signals";
import { Client } from "../../client/index.ts";
import { observe } from "./clock.ts";
import { key, refuse } from "./session.ts";

/** Whether the last request to the API arrived. */
export const reachable = signal(true);

const LONGEST_PAUSE_MS = 10_000;

/** `fetch` that learns from every answer: the edge's clock, whether it is there, whether it takes the key. */
const watched =
  (secret: string): typeof fetch =>
  async (input, init) => {
    let response: Response;
    try {
      response = await fetch(input, init);
    } catch (error) {
      if (!init?.signal?.aborted) reachable.value = false;
      throw error;
    }
    reachable.value = true;
    observe(response);
    if (response.status === 401) {
      const problem = await response
        .clone()
        .json()
        .catch(() => null);
      void refuse(secret, problem?.detail ?? "The API does not take this key.");
    }
    return response;
  };

/** The API under the visitor's key; null while there is none. */
export const api = computed(() =>
  key.value ? new Client({ url: location.origin, apiKey: key.value, fetch: watched(key.value) }) : null,
);

/** Asks whether the edge is there again, ever more slowly, for as long as it is not. */
effect(() => {
  if (reachable.value) return;
  let pause = 500;
  let timer = setTimeout(knock, pause);
  async function knock() {
    const answered = await fetch("/healthz", { cache: "no-store" }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (answered) reachable.value = true;
    else {
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
      timer = setTimeout(knock, pause);
    }
  }
  addEventListener("online", knock);
  return () => {
    clearTimeout(timer);
    removeEventListener("online", knock);
  };
});

export interface Readiness {
  ready: boolean;
  database: boolean;
  runner: boolean;
}

/** What the edge says of its parts; null when it says nothing. */
export async function readiness(): Promise<Readiness | null> {
  return fetch("/readyz", { cache: "no-store" }).then(
    (response) => response.json(),
    () => null,
  );
}
