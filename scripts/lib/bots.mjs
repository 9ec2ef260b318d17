import { connect } from "./connect.mjs";
import { interruption } from "./interruption.mjs";
import { ensurePackages } from "./packages.mjs";
import { Stop } from "./stop.mjs";

const log = (event) => process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`);

/**
 * `npm run bots`: the bots that have tokens, against VIGNETTE_URL or the running instance.
 * @param {string[]} args
 * @param {{ url: string, apiKey: string }} [instance] the one to speak to, where it is known
 * @returns {Promise<number>} exit status
 */
export async function bots(args, instance) {
  await ensurePackages();
  const { bots: run, BotsError } = await import("../../src/bots/main.ts");
  const host = {
    env: process.env,
    connect: async () => instance ?? connect(),
    signal: interruption,
    say: (line) => console.log(line),
    log,
  };
  return run(args, host).catch((error) => {
    throw error instanceof BotsError ? new Stop(error.message, error.status) : error;
  });
}

/** Whether `npm start` has a bot to start, too; with CHAT_API_KEY and no app token the edge itself answers Slack. */
export const hasTokens = (env) =>
  ["DISCORD_TOKEN", "SLACK_APP_TOKEN"].some((name) => env[name]) ||
  (!env.CHAT_API_KEY && ["SLACK_BOT_TOKEN", "SLACK_CLIENT_ID"].some((name) => env[name]));
