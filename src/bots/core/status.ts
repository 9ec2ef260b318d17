import type { Client } from "../../client/index.ts";
import { patience } from "./api.ts";
import type { Clock } from "./pace.ts";
import { type Sentence, sentence } from "./strings.ts";

/** Whether pictures can be drawn now, with which models, and how fast the API answers. */
export async function statusOf(api: Client, clock: Clock): Promise<Sentence[]> {
  const before = clock.now();
  const { ready, runners, degraded } = await api.readiness({ signal: patience() });
  const ms = clock.now() - before;
  if (!ready) return [sentence("status_down", { reasons: degraded.join(" ") || "–" })];
  const { data } = await api.models.list({ signal: patience() });
  const up = runners.filter((runner) => runner.ready).length;
  const models = data.map(({ id }) => id).join(", ");
  return [
    sentence("status_up", { ms, up, count: runners.length, models }),
    ...(degraded.length > 0 ? [sentence("status_degraded", { reasons: degraded.join(" ") })] : []),
  ];
}
