import { join } from "node:path";
import { fromHere, ROOT, RUNNER } from "./paths.mjs";
import { Stop } from "./stop.mjs";

const DEVICE = /^(auto|cpu|mps|cuda(:\d+)?)$/;
const WEBHOOK_SECRET = /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/;

/**
 * @typedef {object} Settings
 * @property {number} port the edge's port, 0 for any free one
 * @property {number} runnerPort the runner's port, 0 for any free one
 * @property {string} state folder of D1, R2, logs and dev.json
 * @property {string} models path of models.toml
 * @property {string} device auto, cpu, mps, cuda or cuda:N
 * @property {boolean} pageKey whether the page at the edge's root gets the development key by itself
 * @property {string | undefined} runnerToken
 * @property {string | undefined} runnerWebhookSecret `whsec_` and standard base64
 */

/**
 * Reads the launcher's part of the environment.
 * @param {NodeJS.ProcessEnv} env
 * @returns {Settings}
 */
export function readSettings(env) {
  const port = (name, fallback) => {
    const text = env[name] || String(fallback);
    const number = Number(text);
    if (!/^\d+$/.test(text) || number > 65_535)
      throw new Stop(
        `${name} is ${JSON.stringify(text)}; it must be a port between 0 and 65535, where 0 takes any free one.`,
        2,
      );
    return number;
  };
  const matching = (name, pattern, shape) => {
    const text = env[name] || undefined;
    if (text !== undefined && !pattern.test(text)) throw new Stop(`${name} is malformed; it must be ${shape}.`, 2);
    return text;
  };
  const settings = {
    port: port("PORT", 8787),
    runnerPort: port("RUNNER_PORT", 8788),
    state: env.VIGNETTE_STATE ? fromHere(env.VIGNETTE_STATE) : join(ROOT, ".vignette"),
    models: env.VIGNETTE_MODELS ? fromHere(env.VIGNETTE_MODELS) : join(RUNNER, "models.toml"),
    device: matching("VIGNETTE_DEVICE", DEVICE, "auto, cpu, mps, cuda or cuda:N") ?? "auto",
    pageKey: matching("PAGE_KEY", /^[01]$/, "1, or 0 for a page that asks for its key") !== "0",
    runnerToken: matching("RUNNER_TOKEN", /^[\x21-\x7e]{16,}$/, "at least 16 printable characters without spaces"),
    runnerWebhookSecret: matching(
      "RUNNER_WEBHOOK_SECRET",
      WEBHOOK_SECRET,
      "whsec_ followed by at least 24 bytes in standard base64",
    ),
  };
  if (settings.port !== 0 && settings.port === settings.runnerPort)
    throw new Stop(`PORT and RUNNER_PORT are both ${settings.port}; give them different numbers.`, 2);
  return settings;
}
