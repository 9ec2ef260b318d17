import type { Origin } from "../core/origin.ts";
import type { Clock } from "../core/pace.ts";
import { sentence } from "../core/strings.ts";
import { renderSaid } from "./render.ts";
import type { Wire } from "./wire.ts";

/** Tells who asked that their message is gone, while the token of their command lets the bot speak to them. */
export async function tellLost(wire: Wire, clock: Clock, application: string, origin: Origin): Promise<void> {
  const { token, expires = 0, locale } = origin;
  if (!token || clock.now() >= expires) return;
  await wire.followUp({ application, token }, renderSaid([sentence("message_gone", { command: "/gallery" })], locale));
}
