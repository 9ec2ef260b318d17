import { spawn } from "node:child_process";

// Waits on its stdin, which only the launcher holds: a "done" ends it, an end of file means that the launcher is gone,
// kill -9 included, and the process group with it must go too.
const SCRIPT = `trap '' INT TERM HUP
read -r word
[ "$word" = done ] && exit 0
kill -s TERM -- "-$1" 2>/dev/null
tries=0
while kill -s 0 -- "-$1" 2>/dev/null && [ $tries -lt 30 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL -- "-$1" 2>/dev/null`;

/**
 * Ties a process group to this process's life.
 * @param {number} group its leader's pid
 * @returns {() => void} releases it
 */
export function guard(group) {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "vignette-guard", String(group)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.stdin.on("error", () => {});
  child.unref();
  return () => child.stdin.end("done\n");
}

/** Sends a signal to a whole process group; a group that is gone is no error. */
export function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    if (error.code === "ESRCH" || error.code === "EPERM") return false;
    throw error;
  }
}
