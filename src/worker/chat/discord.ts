import { botClient } from "../../bots/core/api.ts";
import { keep } from "../../bots/core/jobs.ts";
import type { Origin } from "../../bots/core/origin.ts";
import { systemClock } from "../../bots/core/pace.ts";
import { Studio } from "../../bots/core/studio.ts";
import { DiscordCanvas } from "../../bots/discord/canvas.ts";
import type { DiscordDeps } from "../../bots/discord/deps.ts";
import { fetchWire } from "../../bots/discord/fetch-wire.ts";
import { answer } from "../../bots/discord/handler.ts";
import { PACE } from "../../bots/discord/limits.ts";
import { tellLost } from "../../bots/discord/lost.ts";
import type { Interaction } from "../../bots/discord/payload.ts";
import { Misconfigured } from "../config.ts";
import type { Bindings } from "../env.ts";
import type { ChatSettings } from "./settings.ts";
import type { ChatTask } from "./task.ts";

/** The edge's own API, called without leaving it. */
export type Call = (request: Request) => Response | Promise<Response>;

const log = (event: Record<string, unknown>) => console.log(JSON.stringify({ chat: "discord", ...event }));

/** What the bot's handlers need, at the edge. */
export function discordDeps(
  env: Bindings,
  { apiKey, discord }: ChatSettings,
  call: Call,
  { id, application_id: application }: Pick<Interaction, "id" | "application_id">,
) {
  if (!discord) throw new Misconfigured("The variable DISCORD_PUBLIC_KEY is missing.");
  const fetcher = async (input: RequestInfo | URL, init?: RequestInit) => call(new Request(input as never, init));
  // The client's addresses are the public ones, but no request of its leaves this worker.
  const api = botClient({ url: env.PUBLIC_URL, apiKey, fetch: fetcher as typeof fetch });
  const clock = systemClock;
  const wire = fetchWire({
    apiUrl: discord.apiUrl,
    home: env.PUBLIC_URL,
    token: discord.token,
    clock,
    fetch: (input, init) => globalThis.fetch(input, init),
  });
  const jobs = {
    async follow({ id: generation }: { id: string }, origin: Origin) {
      await start(env, generation, { kind: "discord_follow", generation, origin, application });
    },
  };
  // What is done twice must ask for the same: the millisecond in a Discord id is chance enough.
  const random = () => Number((BigInt(id) >> 22n) % 1000n) / 1000;
  return { studio: new Studio({ api, clock, random }), wire, jobs, clock, log } satisfies DiscordDeps;
}

/** Hands a task to the object of that name; it outlives the request that brought it. */
export async function start(env: Bindings, name: string, task: ChatTask): Promise<void> {
  await env.CHAT.get(env.CHAT.idFromName(name)).start(task);
}

/** What an interaction asks for, after it was answered. */
export async function work(deps: DiscordDeps, interaction: Interaction): Promise<void> {
  await (await answer(deps, interaction)).work?.();
}

/** Keeps a job's message true until nothing more will be shown, or the signal aborts. */
export async function keepDiscord(
  deps: DiscordDeps,
  { generation: id, origin, application }: { generation: string; origin: Origin; application: string },
  signal: AbortSignal,
): Promise<void> {
  const { wire, clock, studio } = deps;
  const { api } = studio;
  const canvas = () => new DiscordCanvas({ wire, clock, api, application, origin });
  const lost = () => tellLost(wire, clock, application, origin);
  await keep(await studio.get(id), origin, { api, clock, ...PACE, canvas, lost, log }, signal);
}
