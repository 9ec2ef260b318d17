import { isTerminal } from "../../contract/generation.ts";
import { readCustomId } from "../core/custom-id.ts";
import type { DiscordDeps } from "./deps.ts";
import { DISCORD } from "./limits.ts";
import type { Message } from "./payload.ts";

/**
 * Takes up what a bot that is gone left behind: every job whose message does not show its end yet. An edit shows the same
 * however often it is made, so nothing is ever posted twice.
 * @returns the following, which settles when all of them have ended
 */
export async function recover({ studio, wire, jobs, clock, log }: DiscordDeps, application: string): Promise<void> {
  const following: Promise<void>[] = [];
  for await (const { generation, origin } of studio.openJobs("discord", DISCORD.token)) {
    const { token, expires = 0 } = origin;
    if (isTerminal(generation.status)) {
      if (!token || clock.now() >= expires) continue;
      const message = await wire.original({ application, token }).catch(() => null);
      if (!message || !isWaiting(message)) continue;
    }
    log({ event: "recovered", generation: generation.id, status: generation.status });
    following.push(jobs.follow(generation, origin));
  }
  await Promise.all(following);
}

/** Whether a message shows a job that is under way: no buttons yet, or one that stops or looks again. */
function isWaiting({ components = [] }: Message): boolean {
  const ids = components.flatMap((row) => row.components ?? []).map(({ custom_id }) => readCustomId(custom_id ?? ""));
  return ids.length === 0 || ids.some((press) => press?.action === "cancel" || press?.action === "show");
}
