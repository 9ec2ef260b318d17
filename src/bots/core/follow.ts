import { type Client, ClientError } from "../../client/index.ts";
import type { Generation, Progress } from "../../contract/generation.ts";
import type { Origin } from "./origin.ts";
import { type Clock, Pace } from "./pace.ts";
import { sentence } from "./strings.ts";
import { noticeView, pausedView, type View, viewOf } from "./view.ts";

/** The one message of a job. */
export interface Canvas {
  /** Makes the message show this. @throws {@link MessageLost} when it never will again */
  show(view: View): Promise<void>;
  /** Milliseconds since 1970 after which `show` fails for ever; null without such a time. */
  readonly until: number | null;
}

/** The message was deleted, or nothing may edit it any more. */
export class MessageLost extends Error {
  override readonly name = "MessageLost";
}

export interface FollowOptions {
  api: Client;
  clock: Clock;
  /** Milliseconds between two edits. */
  interval: number;
  /** Milliseconds that a quick picture has before its progress is shown at all. */
  grace: number;
  signal?: AbortSignal;
}

/** Time to show the last state before the right to edit ends. */
const MARGIN_MS = 60_000;
const ATTEMPTS = 4;

/**
 * Keeps a job's message true until the job ends, or nothing may edit it any more, or the bot stops: then the job goes
 * on and its message can be taken up again at any time.
 *
 * @throws {@link MessageLost} when the message is gone; the job goes on
 */
export async function follow(
  generation: Generation,
  origin: Origin,
  canvas: Canvas,
  { api, clock, interval, grace, signal }: FollowOptions,
): Promise<void> {
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) stop.abort();
  const pace = new Pace<View>((view) => canvas.show(view), { clock, interval, grace });
  const wall = watchWall(canvas, clock, stop);
  let known = generation;
  let progress: Progress | null = generation.progress;
  const view = () => viewOf(known, origin, clock.now(), progress);
  const draw = async (): Promise<View> => {
    pace.offer(view());
    for await (const event of api.generations.events(known.id, { signal: stop.signal })) {
      throwIfLost(pace);
      if (event.type === "completed") return viewOf(event.data, origin, clock.now());
      if (event.type === "status") known = { ...known, status: event.data.status };
      else if (event.type === "progress") progress = event.data;
      else continue;
      // What is as good as ready is not worth an edit that the picture would have to wait for.
      if (event.type === "progress" && (progress?.eta_seconds ?? Number.POSITIVE_INFINITY) * 1000 < interval) continue;
      pace.offer(view());
    }
    known = await api.generations.get(known.id, { signal: stop.signal });
    return view();
  };
  try {
    await insist(pace, await draw(), clock, interval);
  } catch (error) {
    if (wall.reached()) return await pace.finish(pausedView(view(), origin.locale));
    if (signal?.aborted) return await pace.stop();
    if (error instanceof MessageLost) {
      await pace.stop();
      throw error;
    }
    if (error instanceof ClientError && error.status === 404)
      return await pace.finish(noticeView(sentence("removed"), origin.locale, known.prompt));
    if (isShowFailure(error, pace)) throw error;
    // The API is away: the job is not, and Show looks again.
    await pace.finish(pausedView(view(), origin.locale));
  } finally {
    stop.abort();
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The last state is shown again and again before it is given up. */
async function insist(pace: Pace<View>, last: View, clock: Clock, interval: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await pace.finish(last);
    } catch (error) {
      if (error instanceof MessageLost || attempt === ATTEMPTS) throw error;
      await clock.sleep(interval * 2 ** attempt);
    }
  }
}

/** Progress that could not be shown is let go, unless the message is lost for good. */
function throwIfLost(pace: Pace<View>): void {
  const error = pace.takeFailure()?.error;
  if (error instanceof MessageLost) throw error;
}

/** Whether it was the last state that failed: then the platform is at fault, not the API. */
function isShowFailure(error: unknown, pace: Pace<View>): boolean {
  return pace.finished && !(error instanceof ClientError);
}

function watchWall(canvas: Canvas, clock: Clock, stop: AbortController) {
  let reached = false;
  if (canvas.until !== null)
    void clock.sleep(Math.max(0, canvas.until - MARGIN_MS - clock.now()), stop.signal).then(() => {
      if (stop.signal.aborted) return;
      reached = true;
      stop.abort();
    });
  return { reached: () => reached };
}
