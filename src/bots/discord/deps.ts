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
  /** What the work is to draw; it is told again where the work fails. */
  wish?: Wish;
}

/** What somebody asked for, as text that asks for it again. */
export interface Wish {
  text: string;
  /** The interaction that asked first; null where the text alone would not ask for the same. */
  request: string | null;
}

/** A message for one person only, with what they asked for, if that would be lost. */
export function whisper(said: Sentence[], { locale }: Interaction, wish = ""): Callback {
  return { type: CALLBACK.message, data: renderSaid(said, locale, { wish }) };
}
