import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "./command.mjs";
import { installFailure, requireDisk } from "./diagnose.mjs";
import { NPM_FLAGS, npm } from "./node.mjs";
import { NODE_MODULES, ROOT } from "./paths.mjs";
import { step } from "./progress.mjs";

const DISK_BYTES = 0.6e9;
const readJson = async (path) => JSON.parse(await readFile(path, "utf8"));

/**
 * Whether node_modules holds what the lock names. npm writes node_modules/.package-lock.json last, so an interrupted
 * installation does not pass; packages for other platforms are optional and may be absent.
 * @param {{ packages: Record<string, { version?: string, optional?: boolean, devOptional?: boolean }> }} lock package-lock.json
 * @param {{ packages: Record<string, { version?: string }> }} installed node_modules/.package-lock.json
 */
export const satisfies = (lock, installed) =>
  Object.entries(lock.packages).every(
    ([path, { version, optional, devOptional }]) =>
      path === "" ||
      installed.packages[path]?.version === version ||
      ((optional || devOptional) && !(path in installed.packages)),
  );

/** Runs `npm ci` when node_modules is missing, half-made or of another lock. */
export async function ensurePackages() {
  const lock = await readJson(join(ROOT, "package-lock.json"));
  const installed = await readJson(join(NODE_MODULES, ".package-lock.json")).catch(() => ({ packages: {} }));
  if (satisfies(lock, installed)) return;
  const what = "the Node packages";
  await requireDisk(what, ROOT, DISK_BYTES);
  await step("Installing Node packages", async (detail) => {
    const [file, args] = npm(["ci", ...NPM_FLAGS]);
    const { code, tail } = await command(file, args, { cwd: ROOT, onLine: detail });
    if (code !== 0) throw installFailure(what, tail);
  });
}
