import type { Model } from "../../contract/models.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { Catalogue } from "../storage/catalogue.ts";

/** How old the remembered list may be before the runner is asked again; the cron asks more often than this. */
const FRESH_MS = 5 * 60_000;

/** How long one isolate answers from memory: a trip to D1 less for every picture. */
const MEMORY_MS = 5_000;

const memory = new WeakMap<object, { catalogue: Catalogue; readAt: number }>();

/** The models, from the runner or, while it is away, as it last told them. @throws {Refusal} models_unknown */
export async function currentModels(deps: Deps): Promise<Catalogue> {
  const remembered = memory.get(deps.config);
  if (remembered && deps.now() - remembered.readAt < MEMORY_MS) return remembered.catalogue;
  const known = (await deps.catalogue.load()) ?? (await refreshModels(deps));
  if (!known)
    throw new Refusal("models_unknown", "No runner has told its models yet; try again in a few seconds.", {
      headers: { "Retry-After": "5" },
    });
  memory.set(deps.config, { catalogue: known, readAt: deps.now() });
  // Nobody waits for the runner while an older list is at hand.
  if (deps.now() - known.fetchedAt > FRESH_MS) deps.background(refreshModels(deps));
  return known;
}

/** Asks the runner and remembers its answer; null when it gave none. */
export async function refreshModels(deps: Deps): Promise<Catalogue | null> {
  const models: Model[] | null = await deps.runner.models();
  if (!models) return null;
  const catalogue = { models, fetchedAt: deps.now() };
  await deps.catalogue.save(catalogue);
  memory.set(deps.config, { catalogue, readAt: deps.now() });
  return catalogue;
}
