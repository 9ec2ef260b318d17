import type { Origin } from "../../bots/core/origin.ts";
import type { Interaction } from "../../bots/discord/payload.ts";
import type { Delivery } from "../../bots/slack/payload.ts";

/** What a chat's object does in the background. Doing it twice shows and draws the same as doing it once. */
export type ChatTask =
  | { kind: "discord_work"; interaction: Interaction }
  | { kind: "discord_follow"; generation: string; origin: Origin; application: string }
  | { kind: "slack_work"; delivery: Delivery; arrived: number }
  | { kind: "slack_follow"; generation: string; origin: Origin };

/**
 * Whether a task of the same name is never to be done again. Slack delivers again what it thinks was lost, and posting
 * twice shows two messages; Discord's answers are edits.
 */
export const isDoneOnce = ({ kind }: ChatTask): boolean => kind === "slack_work";
