import type { Model } from "../../contract/models.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { Backend } from "../runner/backend.ts";
import type { Health } from "../runner/breaker.ts";
import type { RunnerRow } from "../storage/runners.ts";

/** How old the remembered list may be before the runner is asked again; the cron asks more often than this. */
const FRESH_MS = 5 * 60_000;

/** How long one isolate answers from memory: a trip to D1 less for every picture. */
const MEMORY_MS = 5_000;

/** Every runner's models together, and how the runners are. */
export interface Catalogue {
  models: Model[];
  /** When the runner asked longest ago told its models; of no meaning where none has to be asked. */
  fetchedAt: number;
  health: Map<string, Health>;
  /** Which runners draw a model, by its id, the preferred one first. */
  runners: Map<string, Backend[]>;
}

const WELL: Health = { failures: 0, openUntil: null, probes: 0, probeUntil: null };
const askedAt = new WeakMap<object, number>();
const memory = new WeakMap<object, { catalogue: Catalogue; readAt: number }>();

/** The models, from the runners or, while they are away, as they last told them. @throws {Refusal} models_unknown */
export async function currentModels(deps: Deps): Promise<Catalogue> {
  const remembered = memory.get(deps.config);
  if (remembered && deps.now() - remembered.readAt < MEMORY_MS) return remembered.catalogue;
  const stored = await storedModels(deps);
  const known = isWhole(deps, stored) ? stored : ((await refreshModels(deps)) ?? stored);
  if (known.models.length === 0)
    throw new Refusal("models_unknown", "No runner has told its models yet; try again in a few seconds.", {
      headers: { "Retry-After": "5" },
    });
  memory.set(deps.config, { catalogue: known, readAt: deps.now() });
  // Nobody waits for the runner while an older list is at hand.
  if (deps.now() - known.fetchedAt > FRESH_MS) deps.background(refreshModels(deps));
  return known;
}

/** Whether every runner has told its models once; one that has not is asked, but not by every request. */
function isWhole(deps: Deps, { models, fetchedAt }: Catalogue): boolean {
  if (models.length === 0) return false;
  return fetchedAt > 0 || deps.now() - (askedAt.get(deps.config) ?? 0) < FRESH_MS;
}

/** As they last told them; none while no runner has told any. */
export async function storedModels(deps: Deps): Promise<Catalogue> {
  return merge(deps, await deps.runnerRows.load());
}

/** Asks the runners and remembers what they answer; null when none did. */
export async function refreshModels(deps: Deps): Promise<Catalogue | null> {
  const now = deps.now();
  askedAt.set(deps.config, now);
  const told = await Promise.all(
    deps.runners.all.map(async (backend) => {
      if (backend.declared) return true;
      const models = await backend.models();
      if (models) await deps.runnerRows.saveModels(backend.name, models, now);
      return models !== null;
    }),
  );
  if (!told.includes(true)) return null;
  const catalogue = await storedModels(deps);
  if (catalogue.models.length === 0) return null;
  memory.set(deps.config, { catalogue, readAt: deps.now() });
  return catalogue;
}

/** Lets this isolate know at once what it found out about a runner. */
export function noteHealth(deps: Deps, name: string, health: Health | null): void {
  memory.get(deps.config)?.catalogue.health.set(name, health ?? WELL);
}

export function healthOf({ health }: Catalogue, name: string): Health {
  return health.get(name) ?? WELL;
}

/** As far as this isolate knows now. */
export function knownHealth(deps: Deps, name: string): Health {
  return memory.get(deps.config)?.catalogue.health.get(name) ?? WELL;
}

/** One list of models; where two runners have the same id, the preferred one's description stands. */
function merge(deps: Deps, rows: RunnerRow[]): Catalogue {
  const models = new Map<string, Model>();
  const runners = new Map<string, Backend[]>();
  let fetchedAt = Number.POSITIVE_INFINITY;
  for (const backend of deps.runners.all) {
    const row = rows.find(({ name }) => name === backend.name);
    if (!backend.declared) fetchedAt = Math.min(fetchedAt, row?.fetchedAt ?? 0);
    for (const model of backend.declared ?? row?.models ?? []) {
      const known = models.get(model.id);
      if (!known) models.set(model.id, model);
      // Other weights draw other pictures: such a runner cannot stand in.
      if (!known || known.version === model.version) runners.set(model.id, [...(runners.get(model.id) ?? []), backend]);
    }
  }
  const health = new Map(rows.map((row) => [row.name, row]));
  return { models: oneDefault([...models.values()]), fetchedAt, health, runners };
}

function oneDefault(models: Model[]): Model[] {
  const first = Math.max(
    0,
    models.findIndex((model) => model.default),
  );
  return models.map((model, index) => ({ ...model, default: index === first }));
}
