import type { Jobs } from "../core/jobs.ts";
import type { Clock } from "../core/pace.ts";
import type { Studio } from "../core/studio.ts";
import type { Ask, Workspace } from "./payload.ts";
import type { People } from "./people.ts";
import type { SlackWire } from "./wire.ts";

export interface SlackDeps {
  studio: Studio;
  /** What speaks in a workspace. @throws {NotInstalled} */
  wires: (workspace: Workspace) => Promise<SlackWire>;
  people: People;
  jobs: Jobs;
  clock: Clock;
  log: (event: Record<string, unknown>) => void;
  /** Forgets a workspace that threw the app out. */
  forget: (workspace: Workspace) => Promise<void>;
  /** Does something once for all attempts at a piece of work, and remembers what came of it; Slack itself forgets nothing. */
  once: <T>(name: string, make: () => Promise<T>) => Promise<T>;
  /** An address that Slack can fetch a picture from, or null where the edge is nothing that Slack reaches. */
  reachable: (url: string) => string | null;
}

/** A workspace that has not installed the app, or has thrown it out. */
export class NotInstalled extends Error {
  override readonly name = "NotInstalled";
}

/** What a delivery is answered with within 3 seconds, and what is done then. */
export interface Answer {
  /** The body of the acknowledgement; most have none. */
  ack?: Record<string, unknown>;
  /** What cannot wait: a form opens within 3 seconds or never. */
  urgent?: () => Promise<void>;
  work?: () => Promise<void>;
}

/** What a handler is given. */
export interface Context {
  deps: SlackDeps;
  ask: Ask;
}
