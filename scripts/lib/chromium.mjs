import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const APPLICATIONS = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The system's browser, or the one that CHROMIUM names. @returns {string | undefined} its path */
export function findChromium(env = process.env) {
  const places = env.CHROMIUM
    ? [env.CHROMIUM]
    : [
        ...(env.PATH ?? "").split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name))),
        ...APPLICATIONS,
      ];
  return places.find(executable);
}

/** Why there is no browser, in a sentence; undefined when there is one. */
export function missingChromium(env = process.env) {
  if (findChromium(env)) return undefined;
  if (env.CHROMIUM) return `CHROMIUM is ${env.CHROMIUM}, which is no program that can be run.`;
  return "no Chromium is installed here. Install one (Debian: apt-get install chromium), or set CHROMIUM to its path.";
}

function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A browser that asks nothing of the network and leaves nothing behind. */
export const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
