import { randomBytes } from "node:crypto";
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "./command.mjs";
import { Stop } from "./stop.mjs";

/**
 * @typedef {object} Instance dev.json: secrets stay between runs, `url`, `runner_url` and `pids` are there while it runs
 * @property {string} [url]
 * @property {string} [api_key]
 * @property {string} [runner_url]
 * @property {string} [runner_token]
 * @property {string} [runner_webhook_secret]
 * @property {{ launcher: number, edge: number, runner: number }} [pids]
 */

const file = (state) => join(state, "dev.json");

/** @returns {Promise<Instance>} empty when there is none or it is unreadable */
export const readInstance = async (state) => {
  try {
    return JSON.parse(await readFile(file(state), "utf8"));
  } catch {
    return {};
  }
};

/**
 * Replaces dev.json in one move, readable by its owner alone.
 * @param {string} state
 * @param {Instance} instance
 */
export async function writeInstance(state, instance) {
  const fresh = `${file(state)}.${process.pid}`;
  await writeFile(fresh, `${JSON.stringify(instance, null, 2)}\n`, { mode: 0o600 });
  await rename(fresh, file(state));
}

/** The runner's secrets: from the environment, else those of the last run, else new ones. */
export const runnerSecrets = (settings, { runner_token, runner_webhook_secret }) => ({
  runner_token: settings.runnerToken ?? runner_token ?? randomBytes(32).toString("hex"),
  runner_webhook_secret:
    settings.runnerWebhookSecret ?? runner_webhook_secret ?? `whsec_${randomBytes(32).toString("base64")}`,
});

/** Makes the state folder, readable by its owner alone; the last run's logs are kept as `*.log.1`. */
export async function createState(state) {
  try {
    await mkdir(join(state, "logs"), { recursive: true });
    await chmod(state, 0o700);
    for (const name of ["edge.log", "runner.log"])
      await rename(join(state, "logs", name), join(state, "logs", `${name}.1`)).catch(() => {}); // none at the first start
  } catch (error) {
    throw new Stop(`VIGNETTE_STATE is ${state}, which cannot be written (${error.code}). Choose a folder of your own.`);
  }
}

/**
 * When a process began, in whatever unit the system tells; empty when there is no such process. A pid alone would not
 * do: after a crash it may belong to another program.
 */
async function birth(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // proc(5): starttime is field 22; the name in field 2 may hold spaces, so count from its closing parenthesis.
  if (stat) return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  const { code, tail } = await command("ps", ["-o", "lstart=", "-p", String(pid)]);
  return code === 0 ? tail.trim() : "";
}

/** @returns {Promise<number | undefined>} the pid of the launcher that owns this state folder now */
export async function owner(state) {
  const [, pid, born] = (await readFile(join(state, "lock"), "utf8").catch(() => "")).match(/^(\d+) (.+)$/) ?? [];
  return pid && (await birth(pid)) === born ? Number(pid) : undefined;
}

/**
 * Takes the state folder for this process; two workers on one database would corrupt each other's view.
 * @returns {Promise<() => Promise<void>>} gives it back
 */
export async function lockState(state) {
  const path = join(state, "lock");
  for (;;) {
    const mine = `${path}.${process.pid}`;
    try {
      await writeFile(mine, `${process.pid} ${await birth(process.pid)}`, { mode: 0o600 });
      await link(mine, path); // atomic, and the pid is already inside
      return () => rm(path, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST")
        throw new Stop(`${path} cannot be written (${error.code}). Free the disk or choose another VIGNETTE_STATE.`);
    } finally {
      await rm(mine, { force: true });
    }
    const pid = await owner(state);
    if (pid) {
      const { url } = await readInstance(state);
      throw new Stop(
        `Vignette already runs here${url ? ` at ${url}` : ""} (process ${pid}). Stop it, or set VIGNETTE_STATE to another folder.`,
      );
    }
    await rm(path, { force: true });
  }
}
