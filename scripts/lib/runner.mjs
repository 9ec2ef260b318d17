import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startChild } from "./child.mjs";
import { ROOT } from "./paths.mjs";
import { HOST } from "./ports.mjs";
import { vignettePython } from "./python.mjs";
import { Stop } from "./stop.mjs";

const POLL_MS = 100;
const MISCONFIGURED = 2;
// A runner that drew before deserves patience; one that never came up will hardly do so the third time.
const MAX_FAILURES = { proven: 5, new: 1 };
const backOff = (failures) => Math.min(5000, 250 * 2 ** failures);

const isReady = (url) =>
  fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
    async (reply) => {
      await reply.body?.cancel();
      return reply.ok;
    },
    () => false,
  );

/** Polls `/readyz` until it answers 200 or `until` aborts. */
export async function waitReady(url, until) {
  while (!until.aborted && !(await isReady(url))) await delay(POLL_MS, undefined, { signal: until }).catch(() => {});
  return !until.aborted;
}

/** What a runner's end means: the sentence it said itself if it was misconfigured, else where to look. */
function explain({ code, signal, tail }, log) {
  const last = tail.findLast((line) => line.trim() !== "")?.trim();
  if (code === MISCONFIGURED && last) return new Stop(last);
  const how = signal ? `was killed (${signal})` : `ended with status ${code}`;
  return new Stop(
    `The runner ${how} and could not be restarted${last ? `; its last words: ${last}` : ""}. Its log is ${log}.`,
  );
}

/**
 * Keeps one runner alive: a dead one is restarted with a growing pause, until it has died too often without having been
 * ready, or says itself that it cannot start.
 * @param {{ port: number, secrets: import("./state.mjs").Instance, settings: import("./settings.mjs").Settings,
 *   onStart: (pid: number) => void, onDeath: (restartInMs: number) => void }} options
 */
export function superviseRunner({ port, secrets, settings, onStart, onDeath }) {
  const url = `http://${HOST}:${port}`;
  const log = join(settings.state, "logs", "runner.log");
  // Whoever stops Vignette waits at its prompt: what is under way goes on at the next start instead of being drained.
  const { file, args, env } = vignettePython([
    "serve",
    "--host",
    HOST,
    "--port",
    String(port),
    "--models",
    settings.models,
    "--drain-seconds",
    "2",
  ]);
  const stopping = new AbortController();
  let child;

  async function supervise() {
    let limit = MAX_FAILURES.new;
    for (let failures = 0; ; failures++) {
      child = startChild(file, args, {
        cwd: ROOT,
        env: {
          ...env,
          RUNNER_TOKEN: secrets.runner_token,
          RUNNER_WEBHOOK_SECRET: secrets.runner_webhook_secret,
          VIGNETTE_DEVICE: settings.device,
          VIGNETTE_STATE: settings.state,
        },
        log,
      });
      onStart(child.pid);
      const gone = new AbortController();
      void waitReady(url, gone.signal).then((ready) => {
        if (!ready) return;
        failures = 0;
        limit = MAX_FAILURES.proven;
      });
      const end = await child.exited;
      gone.abort();
      if (stopping.signal.aborted) return;
      if (end.code === MISCONFIGURED || failures >= limit) throw explain(end, log);
      onDeath(backOff(failures));
      await delay(backOff(failures), undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
    }
  }

  const done = supervise();
  done.catch(() => {}); // heard by whoever asks for `done`, however late
  return {
    url,
    /** Rejects with a sentence when the runner is beyond help; resolves after `stop`. */
    done,
    async stop() {
      stopping.abort();
      await child.stop();
      await done.catch(() => {});
    },
  };
}
