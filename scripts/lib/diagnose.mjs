import { statfs } from "node:fs/promises";
import { Stop } from "./stop.mjs";

const DISK = /ENOSPC|No space left on device|Errno 28|disk quota exceeded/i;
const NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Failed to establish a new connection|Temporary failure in name resolution|Max retries exceeded|ProxyError/;
const LOCK = /EUSAGE|package-lock\.json .*(not in sync|out of sync)|can only install packages when/;

/**
 * Turns an installer's last words into one sentence with a remedy.
 * @param {string} what what was being installed
 * @param {string} tail the last lines of the installer's output
 */
export function installFailure(what, tail) {
  if (DISK.test(tail))
    return new Stop(
      `The disk is full: ${what} could not be installed. Free some space and run the same command again.`,
    );
  if (NETWORK.test(tail))
    return new Stop(
      `No network: ${what} could not be downloaded. Connect this machine, or point npm and pip at a mirror, and run the same command again.`,
    );
  if (LOCK.test(tail))
    return new Stop("package-lock.json does not match package.json. Run `npm install` and try again.");
  return new Stop(`${what} could not be installed:\n${indent(tail)}`);
}

const indent = (text) =>
  text
    .split("\n")
    .slice(-15)
    .map((line) => `    ${line}`)
    .join("\n");

/**
 * Says before a long download that there is no room for it.
 * @param {string} what
 * @param {string} folder an existing folder on the disk in question
 * @param {number} needed bytes
 * @param {typeof statfs} [ask] the file system's answer, for tests
 */
export async function requireDisk(what, folder, needed, ask = statfs) {
  const { bavail, bsize } = await ask(folder);
  const free = Number(bavail) * Number(bsize);
  if (free >= needed) return;
  const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new Stop(
    `Not enough disk: ${what} needs about ${gigabytes(needed)} and ${folder} has ${gigabytes(free)} free. Free some space and run the same command again.`,
  );
}
