import { signAsSlack } from "./chat-keys.ts";
import type { FakeDelivery } from "./slack.ts";

/** A delivery as Slack posts it: where, and the signed request. */
export async function requestOf({ kind, payload }: FakeDelivery, now: number) {
  const path = { slash_commands: "commands", interactive: "interactions", events_api: "events" }[kind];
  const body =
    kind === "events_api"
      ? JSON.stringify(payload)
      : new URLSearchParams(
          kind === "interactive" ? { payload: JSON.stringify(payload) } : (payload as Record<string, string>),
        ).toString();
  const type = kind === "events_api" ? "application/json" : undefined;
  return { path: `/slack/${path}`, body, headers: await signAsSlack(body, now, type) };
}
