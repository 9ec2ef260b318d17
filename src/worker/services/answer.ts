import type { Generation } from "../../contract/generation.ts";
import type { Deps } from "../deps.ts";
import { waitingAt } from "../generation/history.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { IdempotencyRecord } from "../storage/idempotency.ts";
import type { StoredImage } from "../storage/images.ts";
import { type Once, recordOf } from "./idempotency.ts";
import type { CacheStatus } from "./reuse.ts";
import { toGeneration } from "./view.ts";

export interface Accepted {
  generation: Generation;
  /** 200: pictures from the cache; 201, 202: what the first request with this idempotency key got. */
  status: 200 | 201 | 202;
  /** Settles, and never fails, when the runner was asked; null: `generation` and `status` are the answer, whatever the client prefers. */
  offered: Promise<void> | null;
  /** What the answer says about limits, cache and repetition. */
  headers: Record<string, string>;
  /** What the cache had to do with it, for the log. */
  cache: CacheStatus | "replayed";
  /** Keeps what a held-back answer said in the end for repeats of the request. */
  answered: (status: number, generation: Generation) => void;
}

/** How a request is answered and counted. */
export interface How {
  once: Once | null;
  /** Whether the answer is held back until the end: then it is not known yet what an idempotent repeat will get. */
  holdsBack: boolean;
  group: string | null;
}

/** An answer that lacks only when the runner was asked, with what is put on record of it. */
export interface Answer extends Omit<Accepted, "offered" | "cache"> {
  cache: CacheStatus;
  record: IdempotencyRecord | null;
}

/** What a request is answered with for the generation of `row`. */
export function answer(
  deps: Deps,
  row: GenerationRow,
  images: StoredImage[],
  status: 200 | 202,
  {
    once,
    holdsBack,
    cacheStatus,
    headers = {},
  }: Pick<How, "once" | "holdsBack"> & { cacheStatus: CacheStatus; headers?: Record<string, string> },
): Answer {
  const { accountId } = row;
  const progress = row.status === "queued" ? waitingAt(row.parameters.num_inference_steps, null) : null;
  const generation = toGeneration(row, images, { publicUrl: deps.config.PUBLIC_URL, progress });
  const known = holdsBack && status === 202 ? null : status;
  return {
    generation,
    status,
    headers: { ...headers, "Cache-Status": `vignette; ${cacheStatus}` },
    cache: cacheStatus,
    record: once && recordOf(once, { accountId, generation, status: known, now: deps.now() }),
    answered(final, ended) {
      if (once && known === null)
        deps.background(deps.idempotency.answer(accountId, once.key, final, JSON.stringify(ended)));
    },
  };
}

/** It is accepted: what fails on its way to a runner is made good by its message or the cron. */
export function inBackground(deps: Deps, generation: string, work: Promise<void>): Promise<void> {
  const told = work.catch((error) => {
    console.error(JSON.stringify({ event: "hand_on_failed", generation, error: String(error) }));
  });
  deps.background(told);
  return told;
}
