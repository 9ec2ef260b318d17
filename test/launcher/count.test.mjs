import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { countTests } from "../../scripts/lib/check.mjs";

it("counts the reports of Vitest, pytest and node:test alike", () => {
  const report = `<testsuites><testsuite name="a" tests="5" failures="1" errors="1">
    <testcase name="passes" time="0.1"/>
    <testcase name="passes with > and output" time="0.1"><system-out>ok</system-out></testcase>
    <testcase name="fails"><failure message="x">y</failure></testcase>
    <testcase name="breaks"><error message="x"/></testcase>
    <testcase name="is skipped"><skipped/></testcase>
  </testsuite></testsuites>`;
  assert.deepEqual(countTests(report), { passed: 2, failed: 2 });
});

it("finds nothing in a report that was never written", () => {
  assert.deepEqual(countTests(""), { passed: 0, failed: 0 });
});

it("says of a stage that cannot run here that it was not run, last of all, and counts nothing for it", async () => {
  const run = fileURLToPath(new URL("../../scripts/run.mjs", import.meta.url));
  const env = { ...process.env, CHROMIUM: "/nowhere/chromium" };
  const { stdout } = await promisify(execFile)(process.execPath, [run, "test", "browser"], { env });
  assert.equal(
    stdout,
    "! The stage browser was NOT run: CHROMIUM is /nowhere/chromium, which is no program that can be run.\n0 passed, 0 failed\n",
  );
});
