import type { Backend } from "./backend.ts";
import { cogBackend } from "./cog.ts";
import { replicateBackend } from "./replicate.ts";
import type { RunnerSettings } from "./settings.ts";
import { vignetteBackend } from "./vignette.ts";

/** Every runner of the configuration, the preferred one first. */
export interface Runners {
  all: Backend[];
  /** The one of this name; null: of rows from before runners had names, whose runner is the first. */
  of(name: string | null): Backend | null;
}

export function runnersOf(settings: RunnerSettings[], fetcher: typeof fetch): Runners {
  const all = settings.map((one) => backendOf(one, fetcher));
  return { all, of: (name) => (name === null ? all[0] : all.find((backend) => backend.name === name)) ?? null };
}

function backendOf(settings: RunnerSettings, fetcher: typeof fetch): Backend {
  switch (settings.kind) {
    case "vignette":
      return vignetteBackend(settings, fetcher);
    case "replicate":
      return replicateBackend(settings, fetcher);
    case "cog":
      return cogBackend(settings, fetcher);
  }
}
