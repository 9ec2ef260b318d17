import type { Jobs } from "../core/jobs.ts";
import type { Clock } from "../core/pace.ts";
import type { Sentence } from "../core/strings.ts";
import type { Studio } from "../core/studio.ts";
import { CALLBACK, type Callback, type Interaction } from "./payload.ts";
import { renderSaid } from "./render.ts";
import type { Wire } from "./wire.ts";

export interface DiscordDeps {
  studio: Studio;
  wire: Wire;
  jobs: Jobs;
  clock: Clock;
  log: (event: Record<string, unknown>) => void;
}

/** An interaction's answer, due within 3 seconds, and what is done after it was given. */
export interface Answer {
  callback: Callback;
  work?: () => Promise<void>;
}

/** A message for one person only. */
export function whisper(said: Sentence[], { locale }: Interaction): Callback {
  return { type: CALLBACK.message, data: renderSaid(said, locale) };
}
