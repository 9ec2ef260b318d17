import { signal } from "@preact/signals";
import { again, type Order, vary } from "../../bots/core/order.ts";
import type { Client } from "../../client/index.ts";
import type { Preview } from "../../contract/events.ts";
import type { Generation, Progress } from "../../contract/generation.ts";
import { isTerminal } from "../../contract/terms.ts";
import { announce } from "./announce.ts";
import { api } from "./api.ts";
import { change, draft } from "./draft.ts";
import { follow } from "./follow.ts";
import { draftOf, requestOf } from "./form.ts";
import { models, settledModels } from "./models.ts";
import { navigate } from "./router.ts";
import { send } from "./send.ts";
import { settledKey } from "./session.ts";
import { explain, type Trouble } from "./trouble.ts";

/** The picture in the frame, from the wish to its end. */
export interface Job {
  phase: "sending" | "opening" | "queued" | "running" | "ended" | "stuck";
  /** Width over height. */
  shape: number;
  generation: Generation | null;
  progress: Progress | null;
  /** What each of its pictures looks like so far, as data URLs. */
  previews: string[];
  channel: "stream" | "polling";
  /** `stuck`: why nothing goes on. */
  trouble: Trouble | null;
  /** What to ask for again when it got stuck. */
  order: Order | null;
}

export const job = signal<Job | null>(null);

/** How one picture came from another; kept in its metadata. */
export type How = "again" | "vary" | "what-if" | "emphasis";

let left = new AbortController();
const CANCELED = "canceled";

function update(part: Partial<Job>): void {
  if (job.value) job.value = { ...job.value, ...part };
}

/** Begins with another picture; the one before goes on being drawn and is found in the gallery. */
function begin(first: Job): AbortSignal {
  left.abort();
  left = new AbortController();
  job.value = first;
  return left.signal;
}

const NEW: Omit<Job, "phase" | "shape"> = {
  generation: null,
  progress: null,
  previews: [],
  channel: "stream",
  trouble: null,
  order: null,
};

/** Draws what the form says. */
export const imagine = (): Promise<void> => draw(requestOf(draft.value, models.value));
/** The same wish with another chance. */
export const drawAgain = (generation: Generation): Promise<void> =>
  draw(again(generation), { generation, how: "again" });
/** The same composition, a little otherwise. */
export const drawVariation = (generation: Generation, index: number): Promise<void> =>
  draw(vary(generation, index, Math.random()), { generation, how: "vary" });
/** Another sentence with the same seed, so that only what the words change does. */
export function drawSentence(generation: Generation, prompt: string, how: How, index = 0): Promise<void> {
  const seed = generation.images[index]?.seed ?? generation.parameters.seed;
  change({ prompt });
  return draw({ ...again(generation), num_images: 1, prompt, seed }, { generation, how });
}

/** Sends an order until it is accepted or refused, then follows it. */
export async function draw(order: Order, from?: { generation: Generation; how: How }): Promise<void> {
  const client = api.value;
  if (!client) return;
  const shape = (order.width ?? 1) / (order.height ?? 1);
  const signal = begin({ ...NEW, phase: "sending", shape, order });
  const waits = (trouble: Trouble | null) => update({ trouble });
  const parent: Record<string, string> = from ? { parent: from.generation.id, how: from.how } : {};
  try {
    const generation = await send(client, { ...order, metadata: { app: "playground", ...parent } }, signal, waits);
    // Canceled while it was on its way: the edge has it now, and is told.
    if (signal.aborted) return void (signal.reason === CANCELED && (await client.generations.cancel(generation.id)));
    update({ generation, shape: shapeOf(generation) });
    navigate(`/g/${generation.id}`);
    await stayWith(client, generation, signal);
  } catch (error) {
    if (signal.aborted) return;
    const trouble = explain(error);
    if (trouble.remedy === "key" && (await anotherKey(client))) return draw(order, from);
    update({ phase: "stuck", trouble });
    announce(`${trouble.title}. ${trouble.detail}`);
  }
}

/** Whether the page has found a key in place of one that the API does not take. */
async function anotherKey(client: Client): Promise<boolean> {
  await settledKey();
  return api.value !== null && api.value !== client;
}

/** Shows a generation that exists already: after a reload, by a link, by the back button. */
export async function show(id: string): Promise<void> {
  const client = api.value;
  if (!client || job.value?.generation?.id === id) return;
  const signal = begin({ ...NEW, phase: "opening", shape: job.value?.shape ?? 1 });
  try {
    const [generation, known] = await Promise.all([client.generations.get(id, { signal }), settledModels()]);
    if (signal.aborted) return;
    draft.value = draftOf(generation, known);
    update({ generation, shape: shapeOf(generation) });
    await stayWith(client, generation, signal);
  } catch (error) {
    if (!signal.aborted) update({ phase: "stuck", trouble: explain(error) });
  }
}

/** Takes the picture out of the frame. */
export function clear(): void {
  left.abort();
  job.value = null;
}

export async function cancel(): Promise<void> {
  const client = api.value;
  const { generation } = job.value ?? {};
  if (!generation) {
    left.abort(CANCELED);
    job.value = null;
    return announce("Canceled.");
  }
  try {
    end((await client?.generations.cancel(generation.id)) ?? generation);
  } catch (error) {
    update({ trouble: explain(error) });
  }
}

async function stayWith(client: Client, generation: Generation, signal: AbortSignal): Promise<void> {
  if (isTerminal(generation.status)) return end(generation);
  const phase = (status: Generation["status"]) => update({ phase: status === "running" ? "running" : "queued" });
  phase(generation.status);
  update({ progress: generation.progress });
  announce(generation.status === "queued" ? "Accepted; waiting for its turn." : "Being drawn.");
  const watcher = {
    status: phase,
    progress: (progress: Progress) => update({ progress }),
    preview: ({ index, image }: Preview) =>
      update({ previews: Object.assign([...(job.value?.previews ?? [])], { [index]: image }) }),
    channel: (channel: Job["channel"]) => update({ channel }),
  };
  const ended = await follow(client, generation.id, watcher, signal);
  end(ended);
}

function end(generation: Generation): void {
  if (job.value?.generation?.id !== generation.id || job.value.phase === "ended") return;
  update({ phase: isTerminal(generation.status) ? "ended" : "queued", generation, progress: null, trouble: null });
  if (generation.status === "succeeded")
    announce(
      `Done: ${generation.images.length === 1 ? "the picture is" : `${generation.images.length} pictures are`} there.`,
    );
  else
    announce(
      generation.status === "canceled" ? "Canceled." : `Failed: ${generation.error?.message ?? "no reason was told"}`,
    );
}

const shapeOf = ({ parameters }: Generation): number => parameters.width / parameters.height;
