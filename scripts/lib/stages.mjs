import { readdirSync } from "node:fs";
import { join } from "node:path";
import { missingChromium } from "./chromium.mjs";
import { NODE_MODULES, ROOT, VENV_PYTHON } from "./paths.mjs";

// Under the launcher's own Node: the scripts' first line would find whichever is first in PATH, maybe one too old.
const tool = (script, ...args) => [process.execPath, join(NODE_MODULES, ...script.split("/")), ...args];
const biome = (...args) => tool("@biomejs/biome/bin/biome", ...args);
const tsc = (...args) => tool("typescript/bin/tsc", ...args);
const python = (module, ...args) => [VENV_PYTHON, "-m", module, ...args];
const PYTHON_CODE = ["gpu-runner", "bench"];
// By name: mypy passes over a folder's files whose names are no modules'.
const BENCHES = readdirSync(join(ROOT, "bench"))
  .filter((name) => name.endsWith(".py"))
  .sort()
  .map((name) => join("bench", name));
const vitest = (project) => (report) =>
  tool(
    "vitest/vitest.mjs",
    "run",
    `--project=${project}`,
    "--reporter=default",
    "--reporter=junit",
    `--outputFile.junit=${report}`,
  );
// One file after the other: each end-to-end file has processes of its own, and two cores are not many.
const nodeTest = (folder) => (report) => [
  process.execPath,
  "--test",
  "--test-concurrency=1",
  "--test-reporter=spec",
  "--test-reporter-destination=stdout",
  "--test-reporter=junit",
  `--test-reporter-destination=${report}`,
  ...readdirSync(join(ROOT, folder))
    .filter((name) => /\.test\.(ts|mjs)$/.test(name))
    .sort()
    .map((name) => join(ROOT, folder, name)),
];

/**
 * Everything that CI checks, quickest first. A stage is a list of command lines; one that counts tests is a function of
 * the file where its JUnit report goes.
 * `skipped` answers why a stage cannot run on this machine, if it cannot.
 * @type {Record<string, { python?: "dev" | "run", commands?: string[][], tests?: (report: string) => string[], skipped?: () => string | undefined }>}
 */
export const STAGES = {
  format: {
    python: "dev",
    commands: [biome("format"), python("ruff", "format", "--check", ...PYTHON_CODE)],
  },
  lint: {
    python: "dev",
    commands: [
      biome("check", "--formatter-enabled=false", "--error-on-warnings"),
      python("ruff", "check", ...PYTHON_CODE),
    ],
  },
  types: {
    python: "dev",
    commands: [
      tsc("-p", "tsconfig.json"),
      tsc("-p", "tsconfig.node.json"),
      tsc("-p", "tsconfig.web.json"),
      tsc("-p", "tsconfig.browser.json"),
      python("mypy", "--config-file", "gpu-runner/pyproject.toml"),
      python("mypy", "--config-file", "gpu-runner/pyproject.toml", ...BENCHES),
    ],
  },
  launcher: { tests: nodeTest("test/launcher") },
  unit: { tests: vitest("unit") },
  bots: { tests: vitest("bots") },
  worker: { tests: vitest("worker*") },
  runner: { python: "dev", tests: (report) => python("pytest", "gpu-runner/tests", `--junitxml=${report}`) },
  e2e: { python: "run", tests: nodeTest("test/e2e") },
  browser: {
    python: "run",
    tests: nodeTest("test/browser"),
    skipped: () => missingChromium(),
  },
};
