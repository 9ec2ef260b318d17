import type { Deps } from "../deps.ts";
import { refreshModels } from "./models.ts";

/** Ready means: the database answers, the runner is ready, and its models are known. */
export async function readiness(deps: Deps): Promise<{ ready: boolean; database: boolean; runner: boolean }> {
  const [database, runner] = await Promise.all([answers(deps.catalogue.ping()), runnerReady(deps)]);
  return { ready: database && runner, database, runner };
}

async function runnerReady(deps: Deps): Promise<boolean> {
  return (await deps.runner.ready()) && (await refreshModels(deps)) !== null;
}

/** The schedulers of every known model; none while no runner has told its models. */
export async function schedulerNames(deps: Deps): Promise<string[]> {
  const known = (await deps.catalogue.load()) ?? { models: [] };
  return [...new Set(known.models.flatMap((model) => model.schedulers))].sort();
}

async function answers(call: Promise<void>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  );
}
