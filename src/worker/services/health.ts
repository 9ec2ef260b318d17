import type { Readiness } from "../../contract/readiness.ts";
import type { Deps } from "../deps.ts";
import type { Backend } from "../runner/backend.ts";
import { circuitOf } from "../runner/breaker.ts";
import { healthOf, refreshModels, storedModels } from "./models.ts";

/** How long something may be late before somebody should know. */
const LATE_MS = 10 * 60_000;

/** Ready means: the database answers, a runner is ready, and its models are known. `degraded` is what is wrong besides. */
export async function readiness(deps: Deps): Promise<Readiness> {
  const [database, storage, runners] = await Promise.all([
    succeeds(deps.runnerRows.ping()),
    succeeds(deps.objects.ping()),
    Promise.all(deps.runners.all.map(async (runner) => ({ runner, ready: await runner.ready() }))),
  ]);
  const runner = runners.some(({ ready }) => ready) && (await refreshModels(deps).catch(() => null)) !== null;
  const late = database ? await lateness(deps).catch(() => []) : [];
  return {
    ready: database && runner,
    database,
    runner,
    storage,
    degraded: [
      ...(database ? [] : ["The database does not answer."]),
      ...(storage ? [] : ["The storage of pictures does not answer."]),
      ...runners.filter(({ ready }) => !ready).map(({ runner: { name } }) => `The runner ${name} is not ready.`),
      ...late,
    ],
    runners: await Promise.all(runners.map((one) => describe(deps, one, database))),
  };
}

async function describe(
  deps: Deps,
  { runner: { name, kind }, ready }: { runner: Backend; ready: boolean },
  known: boolean,
) {
  const health = known ? healthOf(await storedModels(deps), name) : null;
  return { name, kind, ready, circuit: health && circuitOf(health, deps.now()).state };
}

/** What has waited for too long, in sentences. */
async function lateness(deps: Deps): Promise<string[]> {
  const now = deps.now();
  const [waiting, overdue] = await Promise.all([
    deps.generations.waitingSince(),
    deps.deliveries.overdue(now - LATE_MS),
  ]);
  return [
    ...(waiting !== null && now - waiting > LATE_MS
      ? [`The oldest generation in line has waited for ${minutes(now - waiting)} min.`]
      : []),
    ...(overdue > 0 ? [`${overdue} webhook messages are overdue by more than ${minutes(LATE_MS)} min.`] : []),
  ];
}

const minutes = (ms: number) => Math.floor(ms / 60_000);

/** The schedulers of every known model; none while no runner has told its models. */
export async function schedulerNames(deps: Deps): Promise<string[]> {
  const { models } = await storedModels(deps);
  return [...new Set(models.flatMap((model) => model.schedulers))].sort();
}

async function succeeds(call: Promise<void>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  );
}
