import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { command } from "./command.mjs";
import { installFailure, requireDisk } from "./diagnose.mjs";
import { RUNNER, VENV, VENV_PYTHON } from "./paths.mjs";
import { step } from "./progress.mjs";
import { Stop } from "./stop.mjs";

export const TORCH = "torch==2.13.0";
const TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu";
const FORCED = "--force-reinstall";
const INDEX_PATIENCE_MS = 3000;
const DISK_BYTES = { cpu: 2.5e9, cuda: 9e9 };
const CANDIDATES = ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python3.14", "python"];
// ensurepip is what Debian leaves out of `python3` and puts into `python3-venv`.
const PROBE =
  "import sys, importlib.util as u; print(*sys.version_info[:2], bool(u.find_spec('venv') and u.find_spec('ensurepip')))";
const TORCH_VERSION = "from importlib.metadata import version; print(version('torch'))";

/**
 * The first Python that can make the runner's environment.
 * @param {string[]} [candidates] names on PATH or paths, best first
 * @returns {Promise<string>}
 */
export async function findPython(candidates = process.env.PYTHON ? [process.env.PYTHON] : CANDIDATES) {
  const seen = [];
  for (const file of candidates) {
    const { code, tail } = await command(file, ["-c", PROBE]);
    const [, major, minor, venv] = tail.match(/^(\d+) (\d+) (True|False)$/m) ?? [];
    if (code !== 0 || !major) continue;
    const version = `${major}.${minor}`;
    const supported = Number(major) === 3 && Number(minor) >= 10;
    if (supported && venv === "True") return file;
    seen.push({ file, version, supported });
  }
  const bare = seen.find(({ supported }) => supported);
  if (bare)
    throw new Stop(
      `Python ${bare.version} is here but its venv module is not. Install it (Debian and Ubuntu: \`apt install python3-venv\`) and run the same command again.`,
    );
  const found = seen.length > 0 ? `only Python ${seen[0].version} was found` : "none was found";
  throw new Stop(
    `The runner needs Python 3.10 or newer, but ${found}. Install it, or name one with PYTHON=/path/to/python3, and run the same command again.`,
  );
}

/** Whether an NVIDIA GPU is there for PyTorch's CUDA build, whichever device this run asks for. */
export const hasNvidia = async () => (await command("nvidia-smi", ["-L"])).code === 0;

/**
 * Where to look for PyTorch besides the default index. Its own CPU index serves a build without 3 GB of CUDA, and pip
 * prefers that build (2.13.0+cpu sorts above 2.13.0); where that index does not answer, the default one has to do.
 * @param {{ nvidia: boolean, platform?: string, fetch?: typeof globalThis.fetch }} options
 * @returns {Promise<string[]>} arguments for pip
 */
export async function torchIndex({ nvidia, platform = process.platform, fetch = globalThis.fetch }) {
  if (nvidia || platform !== "linux") return [];
  try {
    const reply = await fetch(`${TORCH_CPU_INDEX}/torch/`, {
      method: "HEAD",
      signal: AbortSignal.timeout(INDEX_PATIENCE_MS),
    });
    return reply.ok ? ["--extra-index-url", TORCH_CPU_INDEX] : [];
  } catch {
    return [];
  }
}

/**
 * What pip is told to install PyTorch with. Where the other kind is there it has to be forced: pip takes 2.13.0+cpu for
 * 2.13.0, and would keep either.
 * @param {{ nvidia: boolean, python?: string, platform?: string, fetch?: typeof globalThis.fetch }} options
 * @returns {Promise<string[]>}
 */
export async function torchArguments({ nvidia, python = VENV_PYTHON, ...where }) {
  const index = await torchIndex({ nvidia, ...where });
  const { code, tail } = await command(python, ["-c", TORCH_VERSION]);
  const build = tail.trim();
  // Another mark behind the plus is somebody's choice, +rocm for one; without an index there is nothing to change to.
  const other = code === 0 && (nvidia ? build.endsWith("+cpu") : index.length > 0 && !build.includes("+"));
  return [TORCH, ...(other ? [FORCED] : []), ...index];
}

const digest = (...parts) => createHash("sha256").update(parts.join("\0")).digest("hex");

async function pip(what, args) {
  await step(`Installing ${what}`, async (detail) => {
    const flags = [
      "-m",
      "pip",
      "install",
      "--disable-pip-version-check",
      "--no-input",
      "--progress-bar",
      "off",
      "--retries",
      "2",
    ];
    const { code, tail } = await command(VENV_PYTHON, [...flags, ...args], { cwd: RUNNER, onLine: detail });
    if (code !== 0) throw installFailure(what, tail);
  });
}

/**
 * A requirements file's text followed by that of every file it names with `-r`.
 * @param {string} file
 * @returns {Promise<string>}
 */
export async function pinnedIn(file) {
  const text = await readFile(file, "utf8");
  const named = [...text.matchAll(/^-r (.+)$/gm)].map(([, name]) => pinnedIn(join(dirname(file), name.trim())));
  return [text, ...(await Promise.all(named))].join("\0");
}

/** Does the work once: `stamp` holds the hash of what was installed and is written last, so that a cut is repaired. */
async function once(stamp, hash, work) {
  if ((await readFile(stamp, "utf8").catch(() => "")) === hash) return;
  await work();
  await writeFile(stamp, hash);
}

/**
 * Makes gpu-runner/.venv from the pinned requirements, unless it is there already.
 * @param {{ dev?: boolean }} [options] `dev` adds the tools that tests need
 */
export async function ensureVenv({ dev = false } = {}) {
  const requirements = join(RUNNER, "requirements.txt");
  const nvidia = await hasNvidia();
  const kind = nvidia ? "cuda" : "cpu";
  const pinned = await pinnedIn(requirements);
  await once(join(VENV, "vignette.stamp"), digest(TORCH, pinned, kind), async () => {
    if ((await command(VENV_PYTHON, ["-m", "pip", "--version"])).code !== 0) await createVenv(kind);
    const torch = await torchArguments({ nvidia });
    const what = `PyTorch${nvidia ? " with CUDA" : ""}`;
    if (torch.includes(FORCED)) await requireDisk(what, RUNNER, DISK_BYTES[kind]);
    await pip(what, [...torch, "-c", requirements]);
    await pip("the runner's Python packages", ["-r", requirements]);
  });
  if (!dev) return;
  const tools = join(RUNNER, "requirements-dev.txt");
  // Without its dependencies; the file says why.
  const model = join(RUNNER, "requirements-brisque.txt");
  const hash = digest(TORCH, await pinnedIn(tools), await pinnedIn(model));
  await once(join(VENV, "vignette-dev.stamp"), hash, async () => {
    await pip("the runner's development tools", ["-r", tools]);
    await pip("BRISQUE's model", ["--no-deps", "-r", model]);
  });
}

async function createVenv(kind) {
  const python = await findPython();
  await requireDisk("the runner's Python environment", RUNNER, DISK_BYTES[kind]);
  await mkdir(VENV, { recursive: true });
  await step("Creating gpu-runner/.venv", async () => {
    const { code, tail } = await command(python, ["-m", "venv", ...(existsSync(VENV_PYTHON) ? ["--clear"] : []), VENV]);
    if (code !== 0) throw installFailure("the runner's Python environment", tail);
  });
}

/** Arguments and environment for a command of the runner's Python package. */
export const vignettePython = (args) => ({
  file: VENV_PYTHON,
  args: ["-m", "vignette", ...args],
  env: { ...process.env, PYTHONPATH: RUNNER, PYTHONUNBUFFERED: "1" },
});
