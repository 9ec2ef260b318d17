import { setTimeout as delay } from "node:timers/promises";
import { startEdge } from "./edge.mjs";
import { answers, claimPorts } from "./ports.mjs";
import { say, step } from "./progress.mjs";
import { superviseRunner, waitReady } from "./runner.mjs";
import { createState, lockState, readInstance, runnerSecrets, writeInstance } from "./state.mjs";
import { Stop } from "./stop.mjs";

const WATCH_MS = 1000;

/**
 * Starts both halves and waits until they can draw.
 * @param {import("./settings.mjs").Settings} settings
 * @param {{ signal: AbortSignal }} options aborts a start that is under way
 * @returns the running instance; `failed` rejects with a sentence once a half is lost for good
 */
export async function startInstance(settings, { signal }) {
  await createState(settings.state);
  const unlock = await lockState(settings.state);
  const parts = [];
  const stop = async () => {
    await Promise.all(parts.map((part) => part.stop()));
    const { api_key, runner_token, runner_webhook_secret } = await readInstance(settings.state);
    await writeInstance(settings.state, { api_key, runner_token, runner_webhook_secret });
    await unlock();
  };
  try {
    const [port, runnerPort] = await claimPorts([
      ["PORT", settings.port],
      ["RUNNER_PORT", settings.runnerPort],
    ]);
    const known = await readInstance(settings.state);
    const secrets = runnerSecrets(settings, known);
    let instance = { ...secrets, api_key: known.api_key };
    let writing = Promise.resolve();
    const publish = () => {
      writing = writing.then(() => writeInstance(settings.state, instance));
      return writing;
    };
    await publish();

    const runner = superviseRunner({
      port: runnerPort,
      secrets,
      settings,
      onStart(pid) {
        instance = { ...instance, pids: { ...instance.pids, runner: pid } };
        publish();
      },
      onDeath: (ms) => say(`! The runner died; starting it again in ${(ms / 1000).toFixed(2)} s`),
    });
    parts.push(runner);
    const lost = Promise.withResolvers();
    lost.promise.catch(() => {}); // heard at the next race, or never when it is stopped first
    runner.done.catch(lost.reject);
    const edge = await step("Starting the edge", () =>
      startEdge({
        port,
        state: settings.state,
        runner: { ...secrets, runner_url: runner.url },
        apiKey: known.api_key,
        pageKey: settings.pageKey,
      }),
    );
    parts.push(edge);
    watchEdge(edge, port, signal).catch(lost.reject);
    await step("Loading the model", () => Promise.race([waitReady(edge.url, signal), lost.promise]));
    signal.throwIfAborted();

    instance = {
      url: edge.url,
      api_key: edge.apiKey,
      runner_url: runner.url,
      ...secrets,
      pids: { launcher: process.pid, edge: edge.pid, ...instance.pids },
    };
    await publish();
    return { url: edge.url, apiKey: edge.apiKey, failed: lost.promise, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Rejects when the edge is gone: its process, or the workerd behind it, which does not take its parent along. */
async function watchEdge(edge, port, signal) {
  let alive = true;
  edge.exited.then(() => {
    alive = false;
  });
  for (let misses = 0; alive && misses < 2; ) {
    await delay(WATCH_MS, undefined, { signal, ref: false }).catch(() => {});
    if (signal.aborted) return new Promise(() => {});
    misses = (await answers(port)) ? 0 : misses + 1;
  }
  throw new Stop("The edge died. Start Vignette again; queued generations go on where they were.");
}
