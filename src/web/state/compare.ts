import { signal } from "@preact/signals";
import type { Client } from "../../client/index.ts";
import type { Preview } from "../../contract/events.ts";
import type { CreateGenerationInput, Generation, Progress } from "../../contract/generation.ts";
import { isTerminal } from "../../contract/terms.ts";
import { requestFor, type Variant, variantOf } from "../words/variants.ts";
import { announce } from "./announce.ts";
import { api } from "./api.ts";
import { follow } from "./follow.ts";
import { navigate } from "./router.ts";
import { send } from "./send.ts";
import { explain, type Trouble } from "./trouble.ts";

/** One of the pictures that are compared. */
export interface Entry {
  variant: Variant;
  generation: Generation | null;
  progress: Progress | null;
  /** What it looks like so far, as a data URL. */
  preview: string | null;
  trouble: Trouble | null;
}

export const entries = signal<Entry[]>([]);

let left = new AbortController();

function begin(variants: (Variant | null)[]): AbortSignal {
  left.abort();
  left = new AbortController();
  const unknown: Variant = { kind: "plain" };
  entries.value = variants.map((variant) => ({
    variant: variant ?? unknown,
    generation: null,
    progress: null,
    preview: null,
    trouble: null,
  }));
  return left.signal;
}

function update(index: number, part: Partial<Entry>, signal: AbortSignal): void {
  if (signal.aborted) return;
  entries.value = entries.value.map((entry, at) => (at === index ? { ...entry, ...part } : entry));
}

/** Draws a sentence in several ways with the same seed, all at once: the runner shares its steps among them. */
export async function compare(variants: Variant[], base: CreateGenerationInput & { seed: number }): Promise<void> {
  const client = api.value;
  if (!client) return;
  const signal = begin(variants);
  const accepted = await Promise.all(
    variants.map(async (variant, index) => {
      try {
        const waits = (trouble: Trouble | null) => update(index, { trouble }, signal);
        const generation = await send(client, requestFor(variant, base), signal, waits);
        update(index, { generation, progress: generation.progress }, signal);
        return generation;
      } catch (error) {
        update(index, { trouble: explain(error) }, signal);
        return null;
      }
    }),
  );
  if (signal.aborted) return;
  const ids = accepted.flatMap((generation) => generation?.id ?? []);
  if (ids.length > 0) navigate(`/compare?ids=${ids.join(",")}`);
  await Promise.all(accepted.map((generation, index) => generation && stayWith(client, generation, index, signal)));
  if (!signal.aborted) announce("The comparison is there.");
}

/** Shows generations that exist already: after a reload, by a link, by the back button. */
export async function showComparison(ids: string[]): Promise<void> {
  const client = api.value;
  const shown = entries.value.flatMap(({ generation }) => generation?.id ?? []);
  if (!client || ids.join() === shown.join()) return;
  const signal = begin(ids.map(() => null));
  await Promise.all(
    ids.map(async (id, index) => {
      try {
        const generation = await client.generations.get(id, { signal });
        update(index, { generation, variant: variantOf(generation), progress: generation.progress }, signal);
        await stayWith(client, generation, index, signal);
      } catch (error) {
        update(index, { trouble: explain(error) }, signal);
      }
    }),
  );
}

export function clearComparison(): void {
  begin([]);
}

/** Cancels what is not done yet. */
export async function cancelComparison(): Promise<void> {
  const open = entries.value.flatMap(({ generation }) =>
    generation && !isTerminal(generation.status) ? generation.id : [],
  );
  await Promise.all(open.map((id) => api.value?.generations.cancel(id).catch(() => {})));
}

async function stayWith(client: Client, generation: Generation, index: number, signal: AbortSignal): Promise<void> {
  if (isTerminal(generation.status)) return;
  const watcher = {
    status: () => {},
    channel: () => {},
    progress: (progress: Progress) => update(index, { progress }, signal),
    preview: ({ image }: Preview) => update(index, { preview: image }, signal),
  };
  try {
    update(index, { generation: await follow(client, generation.id, watcher, signal), progress: null }, signal);
  } catch (error) {
    update(index, { trouble: explain(error) }, signal);
  }
}
