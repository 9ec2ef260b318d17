#!/usr/bin/env node
// The command `vignette`.
import { run } from "./lib/entry.mjs";

await run(() => import("./lib/cli.mjs").then(({ cli }) => cli(process.argv.slice(2))));
