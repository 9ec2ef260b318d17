import type { Readiness } from "../../contract/readiness.ts";
import type { Deps } from "../deps.ts";
import type { Backend } from "../runner/backend.ts";
import { type Circuit, circuitOf } from "../runner/breaker.ts";
import { type Catalogue, healthOf, refreshModels, storedModels } from "./models.ts";

/** How long something may be late before somebody should know. */
const LATE_MS = 10 * 60_000;
/** How long an isolate answers with what it saw: anybody may ask, and asking costs calls to every runner. */
const MEMORY_MS = 1_000;
/** The cron asks for the models this often; where there is none, this does. */
const MODELS_MS = 60_000;

const seen = new WeakMap<object, { state: Readiness; at: number }>();
const modelsAskedAt = new WeakMap<object, number>();

/** Ready means: the database answers, a runner is ready, and its models are known. `degraded` is what is wrong besides. */
export async function readiness(deps: Deps): Promise<Readiness> {
  const last = seen.get(deps.config);
  if (last && deps.now() - last.at < MEMORY_MS) return last.state;
  // While this looks, others answer with what was seen last.
  if (last) last.at = deps.now();
  const state = await look(deps);
  seen.set(deps.config, { state, at: deps.now() });
  return state;
}

async function look(deps: Deps): Promise<Readiness> {
  const [database, storage, runners] = await Promise.all([
    succeeds(deps.runnerRows.ping()),
    succeeds(deps.objects.ping()),
    Promise.all(deps.runners.all.map(async (runner) => ({ runner, ready: await runner.ready() }))),
  ]);
  const anyReady = runners.some(({ ready }) => ready);
  const catalogue = database ? await knownModels(deps, anyReady).catch(() => null) : null;
  const late = database ? await lateness(deps).catch(() => []) : [];
  const described = runners.map((one) => describe(deps, one, catalogue));
  const runner = anyReady && catalogue !== null && catalogue.models.length > 0;
  return {
    ready: database && runner,
    database,
    runner,
    storage,
    degraded: [
      ...(database ? [] : ["The database does not answer."]),
      ...(storage ? [] : ["The storage of pictures does not answer."]),
      ...described.filter(({ ready }) => !ready).map(({ name }) => `The runner ${name} is not ready.`),
      ...described.flatMap(({ name, circuit }) => faultOfCircuit(name, circuit)),
      ...late,
    ],
    runners: described,
  };
}

/** As the runners last told them. They are asked only where that was long ago, so that a call writes nothing to D1. */
async function knownModels(deps: Deps, anyReady: boolean): Promise<Catalogue> {
  const stored = await storedModels(deps);
  const now = deps.now();
  const askedAt = Math.max(stored.fetchedAt, modelsAskedAt.get(deps.config) ?? 0);
  if (!anyReady || (stored.models.length > 0 && now - askedAt < MODELS_MS)) return stored;
  modelsAskedAt.set(deps.config, now);
  return (await refreshModels(deps)) ?? stored;
}

function describe(
  deps: Deps,
  { runner: { name, kind }, ready }: { runner: Backend; ready: boolean },
  catalogue: Catalogue | null,
) {
  return { name, kind, ready, circuit: catalogue && circuitOf(healthOf(catalogue, name), deps.now()).state };
}

function faultOfCircuit(name: string, circuit: Circuit["state"] | null): string[] {
  if (circuit === "open") return [`The runner ${name} failed too often; nothing is sent there for a while.`];
  return circuit === "half-open" ? [`The runner ${name} failed too often; it is being tried again.`] : [];
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
