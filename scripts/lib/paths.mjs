import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. Installs live inside it; state lives in VIGNETTE_STATE. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
export const NODE_MODULES = join(ROOT, "node_modules");
export const NODE24 = join(ROOT, ".node24");
export const RUNNER = join(ROOT, "gpu-runner");
export const VENV = join(RUNNER, ".venv");
export const VENV_PYTHON = join(VENV, "bin", "python");

/** A path from the environment or a flag, relative to where the command was typed. */
export const fromHere = (path) => resolve(process.env.INIT_CWD ?? process.cwd(), path);
