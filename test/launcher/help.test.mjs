import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { command } from "../../scripts/lib/command.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";

// With such a port nothing can start, and without a token nothing be deployed.
const env = { ...process.env, PORT: "no port", CLOUDFLARE_API_TOKEN: "" };
const run = (script, ...args) => command(process.execPath, [join(ROOT, "scripts", script), ...args], { env });

describe("--help", () => {
  for (const args of [
    ["vignette.mjs", "start", "--help"],
    ["vignette.mjs", "start", "-h"],
    ["vignette.mjs", "help", "start"],
    ["run.mjs", "start", "--help"],
  ])
    it(`starts nothing: ${args.join(" ")}`, async () => {
      const { code, tail } = await run(...args);
      assert.equal(code, 0, tail);
      assert.match(tail, /^vignette start\nthe whole of Vignette on this machine\n\n.*docs\/operations\.md/);
    });

  it("deploys nothing", async () => {
    const { code, tail } = await run("run.mjs", "deploy", "--help");
    assert.equal(code, 0, tail);
    assert.match(tail, /^npm run deploy \[-- --env NAME\]/);
  });
});
