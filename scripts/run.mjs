#!/usr/bin/env node
// What package.json's scripts call: installs what is missing, goes on under a modern Node, then does the work.
// No dependencies: it has to run before anything is installed.
import { run } from "./lib/entry.mjs";
import { Stop } from "./lib/stop.mjs";

const COMMANDS = {
  start: (args) => import("./lib/cli.mjs").then(({ cli }) => cli(["start", ...args])),
  imagine: (args) => import("./lib/cli.mjs").then(({ cli }) => cli(["imagine", ...args])),
  test: (args) => import("./lib/check.mjs").then(({ check }) => check(args)),
  check: () => import("./lib/check.mjs").then(({ check }) => check(["format", "lint", "types"])),
  bots: (args) => import("./lib/bots.mjs").then(({ bots }) => bots(args)),
  bench: (args) => import("./lib/bench.mjs").then(({ bench }) => bench(args)),
  screenshots: () => import("./lib/screenshots.mjs").then(({ screenshots }) => screenshots()),
  client: () => import("./lib/client.mjs").then(({ client }) => client()),
  deploy: (args) => import("./lib/deploy.mjs").then(({ deploy }) => deploy(args)),
};
/** What `-- --help` says of those that have no help of their own. */
const HELP = {
  test: "npm test [-- STAGE …]: every check, or the stages that are named",
  check: "npm run check: format, lint and types",
  bench: "npm run bench [-- NAME …]: measures, and writes bench/results/",
  screenshots: "npm run screenshots: draws the playground's pictures in docs/images/ anew",
  client: "npm run build:client: the client's package, in dist/client/",
  deploy:
    "npm run deploy [-- --env NAME] [-- --dry-run]: the migrations, then the worker; other options are wrangler's",
};

await run(() => {
  const [name, ...args] = process.argv.slice(2);
  if (!Object.hasOwn(COMMANDS, name ?? ""))
    throw new Stop(`Usage: node scripts/run.mjs ${Object.keys(COMMANDS).join("|")}`, 2);
  const help = args.some((arg) => arg === "--help" || arg === "-h") && HELP[name];
  if (!help) return COMMANDS[name](args);
  console.log(help);
  return 0;
});
