#!/usr/bin/env node
// What package.json's scripts call: installs what is missing, goes on under a modern Node, then does the work.
// No dependencies: it has to run before anything is installed.
import { run } from "./lib/entry.mjs";
import { Stop } from "./lib/stop.mjs";

const COMMANDS = {
  start: () => import("./lib/start.mjs").then(({ start }) => start()),
  imagine: (args) => import("./lib/cli.mjs").then(({ cli }) => cli(["imagine", ...args])),
  test: (args) => import("./lib/check.mjs").then(({ check }) => check(args)),
  check: () => import("./lib/check.mjs").then(({ check }) => check(["format", "lint", "types"])),
  bots: (args) => import("./lib/bots.mjs").then(({ bots }) => bots(args)),
  bench: (args) => import("./lib/bench.mjs").then(({ bench }) => bench(args)),
  screenshots: () => import("./lib/screenshots.mjs").then(({ screenshots }) => screenshots()),
  client: () => import("./lib/client.mjs").then(({ client }) => client()),
  deploy: (args) => import("./lib/deploy.mjs").then(({ deploy }) => deploy(args)),
};

await run(() => {
  const [name, ...args] = process.argv.slice(2);
  if (!Object.hasOwn(COMMANDS, name ?? ""))
    throw new Stop(`Usage: node scripts/run.mjs ${Object.keys(COMMANDS).join("|")}`, 2);
  return COMMANDS[name](args);
});
