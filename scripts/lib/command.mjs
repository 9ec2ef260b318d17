import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { interruption } from "./interruption.mjs";

const TAIL = 40;

/**
 * Runs a program to its end, or to ours: a wish to stop is passed on to it.
 * @param {string} file
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void, stdio?: "inherit" }} [options]
 *   with `stdio: "inherit"` the program talks to the terminal itself and nothing is kept
 * @returns {Promise<{ code: number, tail: string }>} exit status (128 + signal if killed, 127 if it could not be
 *   started) and the last lines of its output
 */
export function command(file, args, { cwd, env = process.env, onLine, stdio } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env, stdio: stdio ?? ["ignore", "pipe", "pipe"], signal: interruption });
    const tail = [];
    const keep = (line) => {
      tail.push(line);
      if (tail.length > TAIL) tail.shift();
      onLine?.(line);
    };
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on("line", keep);
    child.on("error", (error) => !interruption.aborted && resolve({ code: 127, tail: error.message }));
    child.on("close", (code, signal) =>
      interruption.aborted
        ? reject(interruption.reason)
        : resolve({ code: code ?? (signal ? 128 : 1), tail: tail.join("\n") }),
    );
  });
}
