import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import { guard, signalGroup } from "./guard.mjs";

const PATIENCE_MS = 5000;
const TAIL = 20;

/**
 * A long-running half of Vignette, in a process group of its own, so that all of it can be ended.
 * @param {string} file
 * @param {string[]} args
 * @param {{ env: NodeJS.ProcessEnv, cwd: string, log: string, ipc?: boolean }} options `log` gets stdout and stderr
 */
export function startChild(file, args, { env, cwd, log, ipc = false }) {
  const child = spawn(file, args, {
    cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...(ipc ? ["ipc"] : [])],
  });
  const release = child.pid ? guard(child.pid) : () => {};
  const output = createWriteStream(log, { flags: "a", mode: 0o600 });
  const tail = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => {
      output.write(`${line}\n`);
      tail.push(line);
      if (tail.length > TAIL) tail.shift();
    });

  /** @type {Promise<{ code: number | null, signal: NodeJS.Signals | null, tail: string[] }>} */
  const exited = new Promise((resolve) => {
    const end = async (code, signal) => {
      release();
      output.end();
      await finished(output).catch(() => {});
      resolve({ code, signal, tail });
    };
    child.once("error", (error) => {
      if (child.pid) return;
      tail.push(error.message);
      void end(127, null);
    });
    child.once("exit", () => signalGroup(child.pid, "SIGKILL")); // what the leader had started goes with it
    child.once("close", end);
  });

  return {
    process: child,
    pid: child.pid,
    exited,
    /** Ends it: SIGTERM to the leader, which looks after its own, SIGKILL for the whole group when it takes too long. */
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.pid && signalGroup(child.pid, "SIGKILL"), PATIENCE_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}
