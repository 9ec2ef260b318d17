import { interruption, listenForInterruption } from "./interruption.mjs";
import { ensureNode } from "./node.mjs";
import { Stop } from "./stop.mjs";

/**
 * Runs a command to the end of this process: under a modern Node, with signals heard, failures told in a sentence.
 * @param {() => Promise<number | undefined>} work resolves to the exit status
 */
export async function run(work) {
  try {
    if (process.platform === "win32")
      throw new Stop("Vignette runs on Linux and macOS. On Windows, run it inside WSL.");
    if (Number(process.versions.node.split(".")[0]) < 20)
      throw new Stop(
        `Vignette needs Node 20 or newer; this is Node ${process.versions.node}. Install a newer one from https://nodejs.org.`,
      );
    await ensureNode();
    listenForInterruption();
    process.exit((await work()) ?? 0);
  } catch (error) {
    if (interruption.aborted) process.exit(interruption.reason);
    if (error instanceof Stop) process.stderr.write(`${error.message}\n`);
    else process.stderr.write(`Vignette met an error of its own, please report it:\n${error.stack}\n`);
    process.exit(error instanceof Stop ? error.code : 70);
  }
}
