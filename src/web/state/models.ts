import { effect, signal } from "@preact/signals";
import type { Model } from "../../contract/models.ts";
import { api, reachable } from "./api.ts";
import { explain, type Trouble } from "./trouble.ts";

/** What can draw; null until it is known. */
export const models = signal<Model[] | null>(null);
/** Why it is not known. */
export const modelsTrouble = signal<Trouble | null>(null);

const AGAIN_MS = 4_000;

// Asked once per key, and again for as long as no runner has told what it has.
effect(() => {
  const client = api.value;
  if (!client || !reachable.value) return;
  const left = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const load = async () => {
    try {
      models.value = (await client.models.list({ signal: left.signal })).data;
      modelsTrouble.value = null;
    } catch (error) {
      if (left.signal.aborted) return;
      modelsTrouble.value = explain(error);
      if (modelsTrouble.value.remedy === "wait") timer = setTimeout(load, AGAIN_MS);
    }
  };
  void load();
  return () => {
    left.abort();
    clearTimeout(timer);
  };
});

/** The models as soon as they are known; null when they cannot be. */
export function settledModels(): Promise<Model[] | null> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (models.value === null && modelsTrouble.value === null) return;
      resolve(models.value);
      queueMicrotask(() => stop());
    });
  });
}
