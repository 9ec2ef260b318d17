import type { Origin } from "../../bots/core/origin.ts";
import type { Interaction } from "../../bots/discord/payload.ts";

/** What a chat's object does in the background. Doing it twice shows and draws the same as doing it once. */
export type ChatTask =
  | { kind: "discord_work"; interaction: Interaction }
  | { kind: "discord_follow"; generation: string; origin: Origin; application: string };
