import { setTimeout as delay } from "node:timers/promises";
import { startInstance } from "./instance.mjs";
import { interruption } from "./interruption.mjs";
import { step } from "./progress.mjs";
import { ensureVenv } from "./python.mjs";
import { readSettings } from "./settings.mjs";
import { owner, readInstance } from "./state.mjs";
import { Stop } from "./stop.mjs";

const POLL_MS = 200;

/** The running instance of this state folder; one that is just starting is waited for. */
async function findRunning({ state }) {
  if (!(await owner(state))) return undefined;
  const find = async () => {
    while (await owner(state)) {
      const { url, api_key } = await readInstance(state);
      if (url && api_key) return { url, apiKey: api_key };
      await delay(POLL_MS, undefined, { signal: interruption });
    }
  };
  const { url } = await readInstance(state);
  return url ? find() : step("Waiting for the instance that is starting", find);
}

/**
 * Finds the Vignette a command talks to: VIGNETTE_URL, else the one that `npm start` runs, else - where `orStart` says
 * so - one of its own, stopped by `close`.
 * @param {{ orStart?: boolean }} [options]
 * @returns {Promise<{ url: string, apiKey: string, failed: Promise<never>, close: () => Promise<void> }>}
 */
export async function connect({ orStart = false } = {}) {
  const remote = { failed: new Promise(() => {}), close: async () => {} };
  const { VIGNETTE_URL, VIGNETTE_API_KEY } = process.env;
  if (VIGNETTE_URL) {
    if (!URL.canParse(VIGNETTE_URL))
      throw new Stop(
        `VIGNETTE_URL is ${JSON.stringify(VIGNETTE_URL)}; it must be a URL such as https://vignette.example.`,
        2,
      );
    if (!VIGNETTE_API_KEY)
      throw new Stop("VIGNETTE_URL is set but VIGNETTE_API_KEY is not. Set it to a key of that instance.", 2);
    return { url: VIGNETTE_URL.replace(/\/+$/, ""), apiKey: VIGNETTE_API_KEY, ...remote };
  }
  const settings = readSettings(process.env);
  const running = await findRunning(settings);
  if (running) return { ...running, ...remote };
  if (!orStart)
    throw new Stop(
      "No Vignette is running here. Start one with `npm start`, or set VIGNETTE_URL and VIGNETTE_API_KEY.",
    );
  await ensureVenv();
  // Nobody else needs to know the ports of an instance that lives for one picture, so a busy default is no obstacle.
  const own = {
    port: process.env.PORT ? settings.port : 0,
    runnerPort: process.env.RUNNER_PORT ? settings.runnerPort : 0,
  };
  const { url, apiKey, failed, stop } = await startInstance({ ...settings, ...own }, { signal: interruption });
  return { url, apiKey, failed, close: stop };
}
