import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startChild } from "./child.mjs";
import { ROOT } from "./paths.mjs";
import { HOST } from "./ports.mjs";
import { Stop } from "./stop.mjs";

const ENTRY = fileURLToPath(new URL("edge-process.mjs", import.meta.url));
const QUIET = { WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CLOUDFLARE_CF_FETCH_ENABLED: "false" };
// Without this the young generation of V8 in workerd grows to gigabytes under load.
const HEAP = { MINIFLARE_WORKERD_V8_FLAGS: "--max-semi-space-size=4" };
/** Variables of further runners, of time and of the bots at the edge, handed on where they are set. */
const HANDED_ON = [
  "RUNNERS",
  "QUEUE_DEADLINE_SECONDS",
  "RUN_DEADLINE_SECONDS",
  "IMAGES_DAYS",
  "GENERATIONS_DAYS",
  "WEBHOOK_PORTS",
  "WEBHOOK_RESOLVER",
  "CHAT_API_KEY",
  "DISCORD_PUBLIC_KEY",
  "DISCORD_TOKEN",
  "DISCORD_API_URL",
  "SLACK_SIGNING_SECRET",
  "SLACK_BOT_TOKEN",
  "SLACK_CLIENT_ID",
  "SLACK_CLIENT_SECRET",
  "SLACK_ENCRYPTION_KEY",
  "SLACK_API_URL",
  "SLACK_AUTHORIZE_URL",
];

/** @param {NodeJS.ProcessEnv} env */
export function handedOn(env) {
  // Without that key Slack's variables are those of a bot in a process of its own: the edge has no part in it.
  const isHeeded = (name) => Boolean(env[name] && (env.CHAT_API_KEY || !name.startsWith("SLACK_")));
  return Object.fromEntries(HANDED_ON.filter(isHeeded).map((name) => [name, env[name]]));
}

/**
 * Starts the edge on a free port and waits until it listens.
 * @param {{ port: number, state: string, runner: import("./state.mjs").Instance, apiKey?: string, pageKey?: boolean,
 *   entry?: string, vars?: Record<string, string>, cronMs?: number }} options
 *   `pageKey`: the page gets the development key by itself; `entry`: another worker than wrangler.toml's, for benches and
 *   tests, as `cronMs` is, the time between two crons
 * @returns the child process, its URL and the development key
 */
export async function startEdge({ port, state, runner, apiKey, pageKey = false, entry, vars = {}, cronMs }) {
  const url = `http://${HOST}:${port}`;
  const log = join(state, "logs", "edge.log");
  const child = startChild(process.execPath, ["--no-warnings", ENTRY], {
    cwd: ROOT,
    env: { ...process.env, ...QUIET, ...HEAP },
    log,
    ipc: true,
  });
  const bindings = {
    RUNNER_URL: runner.runner_url,
    RUNNER_TOKEN: runner.runner_token,
    RUNNER_WEBHOOK_SECRET: runner.runner_webhook_secret,
    PUBLIC_URL: url,
    ALLOW_LOCAL_WEBHOOKS: "1",
    ...handedOn(process.env),
    ...vars,
  };
  child.process.send({ port, state, bindings, apiKey, pageKey, entry, log, cronMs });
  const [answer] = await Promise.race([
    once(child.process, "message"),
    child.exited.then(({ tail }) => [{ failed: tail.at(-1) }]),
  ]);
  if (!answer.ready) {
    await child.stop();
    throw new Stop(`The edge could not start: ${answer.failed ?? "it ended at once"}. Its log is ${log}.`);
  }
  return { ...child, url, apiKey: answer.apiKey };
}
