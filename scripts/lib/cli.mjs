import { setTimeout as delay } from "node:timers/promises";
import { command } from "./command.mjs";
import { connect } from "./connect.mjs";
import { interruption } from "./interruption.mjs";
import { ensurePackages } from "./packages.mjs";
import { fromHere } from "./paths.mjs";
import { ensureVenv, vignettePython } from "./python.mjs";
import { start } from "./start.mjs";
import { Stop } from "./stop.mjs";

const PYTHON = ["adapter", "surd", "evaluate", "miniature", "judge", "reading", "inspect", "serve"];
const HELP = ["--help", "-h"];

/**
 * The command line `vignette`: `start`, the runner's Python commands, and everything that speaks to the API.
 * @param {string[]} argv without node and script
 * @returns {Promise<number>} exit status
 */
export async function cli(argv) {
  const [name, ...rest] = argv;
  if (name === "start" && !rest.some((word) => HELP.includes(word))) return start();
  // `models` alone asks the running instance; `models check` and the like look at models.toml itself.
  if (PYTHON.includes(name) || (name === "models" && rest[0] && !rest[0].startsWith("-"))) {
    await ensureVenv();
    const { file, args, env } = vignettePython(argv);
    return (await command(file, args, { cwd: fromHere("."), env, stdio: "inherit" })).code;
  }
  await ensurePackages();
  const { main, CliError } = await import("../../src/cli/main.ts");
  const told = (error) => {
    throw error instanceof Stop ? new CliError(error.message, error.code) : error;
  };
  try {
    return await main(argv, {
      // A Vignette that cannot be had fails as a command does, with --json too.
      connect: async (options) => {
        const connection = await connect(options).catch(told);
        return { ...connection, failed: connection.failed.catch(told) };
      },
      fromHere,
      signal: interruption,
      sleep: (ms) => delay(ms, undefined, { signal: interruption }).catch(() => {}),
      stdout: process.stdout,
      stderr: process.stderr,
    });
  } catch (error) {
    throw error instanceof CliError ? new Stop(error.message, error.status) : error;
  }
}
