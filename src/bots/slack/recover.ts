import { isTerminal } from "../../contract/generation.ts";
import { readCustomId } from "../core/custom-id.ts";
import type { Origin } from "../core/origin.ts";
import type { SlackDeps } from "./deps.ts";
import type { SlackMessage } from "./payload.ts";
import { nameOf } from "./place.ts";
import { SlackRefusal } from "./wire.ts";

/** A job's message can wait for longer than any job may take. In milliseconds. */
const WITHIN = 60 * 60_000;
/** A preview cannot be looked at, so only one that just ended is shown again. */
const PREVIEW_WITHIN = 2 * 60_000;

/**
 * Takes up what a bot that is gone left behind: every job whose message does not show its end yet. An edit shows the same
 * however often it is made, so nothing is ever posted twice.
 * @returns the following, which settles when all of them have ended
 */
export async function recover(deps: SlackDeps): Promise<void> {
  const { studio, jobs, clock, log } = deps;
  const following: Promise<void>[] = [];
  for await (const { generation, origin } of studio.openJobs("slack", WITHIN)) {
    if (isTerminal(generation.status)) {
      const ended = Date.parse(generation.completed_at ?? generation.created_at);
      const waits = origin.message
        ? await isWaiting(deps, origin)
        : Boolean(origin.token) && clock.now() - ended < PREVIEW_WITHIN;
      if (!waits) continue;
    }
    log({ event: "recovered", generation: generation.id, status: generation.status });
    following.push(jobs.follow(generation, origin));
  }
  await Promise.all(following);
}

/** Whether a message shows a job that is under way. Reading reactions is the least that reads one's own message. */
async function isWaiting({ wires, log }: SlackDeps, { place = "", org, channel, message }: Origin) {
  try {
    const wire = await wires({ team: place, org: org ?? null });
    const args = { channel, timestamp: message };
    const { message: found } = await wire.call<{ message: SlackMessage }>("reactions.get", args);
    const ids = (found.blocks ?? []).flatMap(({ elements = [] }) => elements.map(({ action_id = "" }) => action_id));
    const actions = ids.map((id) => readCustomId(id)?.action).filter((action) => action !== undefined);
    // The end of a job has other buttons than these.
    return !actions.some((action) => action !== "cancel" && action !== "resume" && action !== "show");
  } catch (error) {
    log({ event: "look_failed", error: nameOf(error) });
    // Showing the end again does no harm, leaving a message without one does.
    return error instanceof SlackRefusal && error.code === "missing_scope";
  }
}
