// The one wish to stop: Ctrl-C, kill, a closed terminal, or the death of the process that re-executed us under Node 24.
const controller = new AbortController();
const STATUS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** Aborts when this process is asked to stop; `reason` is the conventional exit status. */
export const interruption = controller.signal;

/** Throws if the process was asked to stop. */
export const checkInterruption = () => interruption.throwIfAborted();

/** Resolves when the process is asked to stop. */
export const interrupted = () =>
  new Promise((resolve) => {
    if (interruption.aborted) resolve();
    else interruption.addEventListener("abort", () => resolve(), { once: true });
  });

/**
 * What the work comes to, unless the process is asked to stop before: then it rejects, and whoever waits can clean up.
 * @template T
 * @param {Promise<T>} work goes on by itself when nobody waits for it any more; what it throws then is not heard
 * @returns {Promise<T>}
 */
export const unlessInterrupted = (work) =>
  Promise.race([work, interrupted().then(() => Promise.reject(interruption.reason))]);

/** From now on a signal asks instead of killing; a second one changes nothing, the ways down are all bounded. */
export function listenForInterruption() {
  for (const [signal, status] of Object.entries(STATUS)) process.on(signal, () => controller.abort(status));
  process.on("disconnect", () => controller.abort(STATUS.SIGHUP));
  process.channel?.unref();
  // A closed terminal must not turn the last words into a crash that leaves the halves running.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
