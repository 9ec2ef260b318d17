import type { Deps } from "../deps.ts";
import type { GenerationRow } from "../storage/generation-row.ts";
import type { KnownKey } from "../storage/keys.ts";
import { admit, release } from "./admit.ts";
import { type Accepted, answer, type How, inBackground } from "./answer.ts";
import { offer } from "./dispatch.ts";
import type { CacheStatus } from "./reuse.ts";

/** Whoever waits for longer than this goes first: a newcomer must not take the place that just became free. */
const NEWCOMER_MS = 1_000;

/** Hands a request to a runner; null, with `sole`, where the same pixels are there or under way by now. */
export async function draw(
  deps: Deps,
  key: KnownKey,
  row: GenerationRow,
  { once, holdsBack, group, cacheStatus, sole }: How & { cacheStatus: CacheStatus; sole: boolean },
): Promise<Accepted | null> {
  const { metered, headers } = await admit(deps, key, row, group);
  row.metered = metered;
  const accepted = answer(deps, row, [], 202, { once, holdsBack, cacheStatus, headers });
  let stored: { inLine: boolean } | null;
  try {
    // Beside the row, not after it: should this isolate die with the answer, the message finds what was accepted.
    [stored] = await Promise.all([
      deps.generations.insert(row, row.createdAt - NEWCOMER_MS, accepted.record, { sole }),
      spreadNet(deps, row.id),
    ]);
  } catch (error) {
    deps.background(release(deps, row, { refund: true }));
    throw error;
  }
  if (stored) return { ...accepted, offered: inBackground(deps, row.id, offer(deps, row, stored)) };
  // Awaited, because it will be counted, or noted, under the same id.
  await release(deps, row, { refund: true });
  return null;
}

/** A message that comes when whoever made the generation must have handed it on. Without it the cron finds the row. */
async function spreadNet(deps: Deps, id: string): Promise<void> {
  await deps.spreadNet(id, deps.config.HANDOVER_SECONDS).catch((error: unknown) => {
    console.error(JSON.stringify({ event: "net_failed", generation: id, error: String(error) }));
  });
}
