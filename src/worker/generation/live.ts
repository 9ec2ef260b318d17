import type { GenerationEvent, Preview } from "../../contract/events.ts";
import type { Generation, Progress, Status } from "../../contract/generation.ts";
import type { Bindings } from "../env.ts";
import { OVER } from "./object.ts";

/** The live side of one generation, wherever its object runs. */
export interface Live {
  /** @param options.waits it is in line, which is looked after */
  open(options?: { waits: boolean }): Promise<void>;
  report(event: GenerationEvent): Promise<void>;
  /** Passes this one's progress on to another that waits for its pictures. */
  follow(followerId: string): Promise<void>;
  steps(step: number, steps: number, previews: Preview[]): Promise<Status>;
  status(): Promise<Status>;
  progress(): Promise<Progress | null>;
  /** When the runner last told something, milliseconds since 1970; null when this object does not know. */
  heardAt(): Promise<number | null>;
  /** Forgets what it knows of a generation that was deleted. */
  forget(): Promise<void>;
  wait(ms: number): Promise<Generation | null>;
  /** The event stream; 404 when it is over and the object no longer remembers it. */
  events(lastEventId: number, over: boolean): Promise<Response>;
}

export function liveOf(namespace: Bindings["GENERATION"], now: () => number): (id: string) => Live {
  return (id) => {
    // A stub that threw stays broken: every call makes its own (Durable Objects documentation, error handling).
    const object = () => namespace.get(namespace.idFromName(id));
    return {
      open: ({ waits } = { waits: false }) => object().open(id, now(), waits),
      report: (event) => object().report(id, event, now()),
      follow: (followerId) => object().follow(followerId),
      steps: (step, steps, previews) => object().steps(id, step, steps, previews, now()),
      status: () => object().status(),
      progress: () => object().progress(),
      heardAt: () => object().heardAt(),
      forget: () => object().forget(),
      wait: (ms) => object().wait(ms),
      events: (lastEventId, over) =>
        object().fetch("https://generation/events", {
          headers: { "Last-Event-ID": String(lastEventId), ...(over ? { [OVER]: "1" } : {}) },
        }),
    };
  };
}
