import type { GenerationEvent, Preview } from "../../contract/events.ts";
import { type Generation, isTerminal, type Progress, type Status } from "../../contract/generation.ts";
import type { StreamEvent } from "./stream.ts";

/** What a generation's object remembers: ids only grow, of progress only the last is kept, nothing follows the end. */
export interface History {
  generationId: string;
  lastId: number;
  status: Status;
  runningSince: number | null;
  events: StreamEvent[];
  /** Generations that wait for this one's pictures and hear of its progress. */
  followers?: string[];
}

export function newHistory(generationId: string): History {
  return { generationId, lastId: 0, status: "queued", runningSince: null, events: [] };
}

/**
 * A history read back from storage. Progress is not stored, so some ids after the last stored one may be taken: the
 * gap keeps ids growing for a client that saw them.
 */
export function revived(history: History): History {
  return { ...history, lastId: history.lastId + 1_000_000 };
}

/** Appends an event where it can follow; answers it with its id, or null when it is late or says nothing new. */
export function append(history: History, event: GenerationEvent, now: number): StreamEvent | null {
  if (isTerminal(history.status)) return null;
  if (event.type === "status") {
    if (history.events.length > 0 && history.status === event.data.status) return null;
    history.status = event.data.status;
    history.runningSince = event.data.status === "running" ? now : null;
    history.events = history.events.filter(isLasting);
  } else if (event.type === "progress") {
    if (!isNews(history, event.data)) return null;
    history.events = history.events.filter(({ type }) => type !== "progress");
  } else if (event.type === "preview") {
    const { index, image } = event.data;
    if (history.status !== "running" || previewOf(history, index)?.image === image) return null;
    history.events = history.events.filter((entry) => !isPreviewOf(entry, index));
  } else {
    history.status = event.data.status;
    history.events = history.events.filter(({ type }) => type !== "preview");
  }
  const entry = { id: ++history.lastId, type: event.type, data: event.data };
  history.events.push(entry);
  return entry;
}

/** What is kept in storage: progress and previews are worth something only while they are new. */
export function isLasting({ type }: StreamEvent): boolean {
  return type !== "progress" && type !== "preview";
}

/** In line its place counts, under way its steps, which only grow. */
function isNews(history: History, progress: Progress): boolean {
  const last = progressOf(history);
  if (progress.queue_position !== null)
    return history.status === "queued" && last?.queue_position !== progress.queue_position;
  return history.status === "running" && progress.step > (last?.step ?? -1);
}

function previewOf(history: History, index: number): Preview | null {
  const entry = history.events.find((each) => isPreviewOf(each, index));
  return entry ? (entry.data as Preview) : null;
}

function isPreviewOf({ type, data }: StreamEvent, index: number): boolean {
  return type === "preview" && (data as Preview).index === index;
}

/** The latest progress, if any was reported since it runs. */
export function progressOf(history: History): Progress | null {
  const entry = history.events.find(({ type }) => type === "progress");
  return entry ? (entry.data as Progress) : null;
}

/** The generation as the end left it; null before. */
export function endOf(history: History): Generation | null {
  const entry = history.events.find(({ type }) => type === "completed");
  return entry ? (entry.data as Generation) : null;
}

/** The progress of one that waits. @param ahead how many are before it, if that is known */
export function waitingAt(steps: number, ahead: number | null): Progress {
  return { fraction: 0, step: 0, steps, queue_position: ahead, eta_seconds: null };
}

/** Progress after `step` of `steps`, the rest estimated at the pace so far. */
export function progressAt(step: number, steps: number, elapsedMs: number): Progress {
  const eta = step > 0 ? Math.round((elapsedMs / step) * (steps - step)) / 1000 : null;
  return { fraction: Math.min(1, step / steps), step, steps, queue_position: null, eta_seconds: eta };
}
