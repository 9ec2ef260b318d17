import type { Generation } from "../../contract/generation.ts";
import type { Origin } from "../core/origin.ts";
import { SlackCanvas } from "./canvas.ts";
import type { SlackDeps } from "./deps.ts";
import { personOf } from "./payload.ts";
import type { SlackWire } from "./wire.ts";

/** The message of a generation. */
export function canvasOf(
  { studio, clock, reachable }: Pick<SlackDeps, "studio" | "clock" | "reachable">,
  wire: SlackWire,
  origin: Origin,
  { user }: Pick<Generation, "user">,
): SlackCanvas {
  return new SlackCanvas({ wire, api: studio.api, clock, origin, person: personOf(user), reachable });
}
