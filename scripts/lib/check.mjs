import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command } from "./command.mjs";
import { ensurePackages } from "./packages.mjs";
import { ROOT, RUNNER } from "./paths.mjs";
import { say, step } from "./progress.mjs";
import { ensureVenv } from "./python.mjs";
import { STAGES } from "./stages.mjs";
import { Stop } from "./stop.mjs";

/**
 * Counts a JUnit report, the one format that Vitest, pytest and node:test all write.
 * @param {string} xml
 */
export function countTests(xml) {
  const cases = xml.match(/<testcase\b[^>]*?(\/>|>[\s\S]*?<\/testcase>)/g) ?? [];
  const failed = cases.filter((test) => /<(failure|error)\b/.test(test)).length;
  const skipped = cases.filter((test) => /<skipped\b/.test(test)).length;
  return { passed: cases.length - failed - skipped, failed };
}

async function runStage({ commands, tests }, report, print) {
  const env = {
    ...process.env,
    PYTHONPATH: RUNNER,
    ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
  };
  let broken = 0;
  for (const [file, ...args] of commands ?? [tests(report)])
    if ((await command(file, args, { cwd: ROOT, env, onLine: print })).code !== 0) broken++;
  if (!tests) return { passed: commands.length - broken, failed: broken };
  const { passed, failed } = countTests(await readFile(report, "utf8").catch(() => ""));
  // A stage that fails without a failed test, or finds no test at all, has broken in another way.
  return { passed, failed: failed || (broken || passed === 0 ? 1 : 0) };
}

/**
 * Runs stages to the end, whatever fails in between, and closes with the line `N passed, N failed`.
 * @param {string[]} names of STAGES; none means all
 * @returns {Promise<number>} exit status
 */
export async function check(names) {
  const unknown = names.find((name) => !(name in STAGES));
  if (unknown)
    throw new Stop(
      `There is no test stage ${JSON.stringify(unknown)}; there are ${Object.keys(STAGES).join(", ")}.`,
      2,
    );
  const chosen = Object.entries(STAGES).filter(([name]) => names.length === 0 || names.includes(name));
  await ensurePackages();
  if (chosen.some(([, stage]) => stage.python && !stage.skipped?.()))
    await ensureVenv({ dev: chosen.some(([, stage]) => stage.python === "dev") });

  const left = [];
  const folder = await mkdtemp(join(tmpdir(), "vignette-test-"));
  const total = { passed: 0, failed: 0 };
  try {
    for (const [name, stage] of chosen) {
      const why = stage.skipped?.();
      if (why) {
        left.push(`! The stage ${name} was NOT run: ${why}`);
        say(left.at(-1));
        continue;
      }
      const output = [];
      const result = await step(name, (detail) =>
        runStage(stage, join(folder, `${name}.xml`), (line) => {
          output.push(line);
          detail(line);
        }),
      );
      if (result.failed > 0) say(output.join("\n"));
      say(`  ${name}: ${result.passed} passed, ${result.failed} failed`);
      total.passed += result.passed;
      total.failed += result.failed;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  // Said again where it is read: a stage that was left out is no stage that passed.
  for (const line of left) console.log(line);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}
