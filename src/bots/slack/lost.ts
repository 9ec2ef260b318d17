import type { Generation } from "../../contract/generation.ts";
import type { Origin } from "../core/origin.ts";
import { sentence } from "../core/strings.ts";
import { personOf } from "./payload.ts";
import { renderSaid } from "./render.ts";
import type { SlackWire } from "./wire.ts";

/** Tells who asked that their message is gone: beside the channel's messages, or else in their own with the bot. */
export async function tellLost(wire: SlackWire, { user }: Pick<Generation, "user">, origin: Origin): Promise<void> {
  const person = personOf(user);
  if (!person) return;
  const body = renderSaid([sentence("message_gone", { command: "/vignette gallery" })], origin.locale);
  try {
    await wire.call("chat.postEphemeral", { channel: origin.channel, user: person, thread_ts: origin.thread, ...body });
  } catch {
    await wire.call("chat.postMessage", { channel: person, unfurl_links: false, ...body });
  }
}
