import { botClient } from "../../bots/core/api.ts";
import { keep } from "../../bots/core/jobs.ts";
import type { Origin } from "../../bots/core/origin.ts";
import { type Clock, systemClock } from "../../bots/core/pace.ts";
import { Studio } from "../../bots/core/studio.ts";
import { NotInstalled, type SlackDeps } from "../../bots/slack/deps.ts";
import { fetchWire } from "../../bots/slack/fetch-wire.ts";
import { answer } from "../../bots/slack/handler.ts";
import { type Installations, nameOfInstallation } from "../../bots/slack/installations.ts";
import { canvasOf } from "../../bots/slack/job-canvas.ts";
import { PACE } from "../../bots/slack/limits.ts";
import { tellLost } from "../../bots/slack/lost.ts";
import type { Delivery, Workspace } from "../../bots/slack/payload.ts";
import { People } from "../../bots/slack/people.ts";
import { reachable } from "../../bots/slack/reachable.ts";
import { sealOf } from "../../bots/slack/seal.ts";
import { pacedWire, type Turns } from "../../bots/slack/turns.ts";
import { NoTurn } from "../../bots/slack/wire.ts";
import { Misconfigured } from "../config.ts";
import type { Bindings } from "../env.ts";
import { slackInstallations } from "../storage/slack-installations.ts";
import { type Call, start } from "./discord.ts";
import type { ChatSettings } from "./settings.ts";

const log = (event: Record<string, unknown>) => console.log(JSON.stringify({ chat: "slack", ...event }));
const clock: Clock = systemClock;
const people = new People(clock);
const fetcher: typeof fetch = (input, init) => globalThis.fetch(input, init);

/** Where the workspaces' installations lie; null where the bot has one token of its own. */
export async function installationsOf(env: Bindings, { slack }: ChatSettings): Promise<Installations | null> {
  return slack?.oauth ? slackInstallations(env.DB, await sealOf(slack.oauth.encryptionKey), () => Date.now()) : null;
}

export interface TaskOptions {
  /** What is done twice must ask for the same: chance is made of this. */
  request: string;
  /** Remembers what an attempt made, for the next one. */
  once?: SlackDeps["once"];
}

/** What the bot's handlers need, at the edge. */
export async function slackDeps(
  env: Bindings,
  settings: ChatSettings,
  call: Call,
  { request, once = (_, make) => make() }: TaskOptions,
): Promise<SlackDeps> {
  const { slack } = settings;
  if (!slack) throw new Misconfigured("The variable SLACK_SIGNING_SECRET is missing.");
  const installations = await installationsOf(env, settings);
  const own = async (input: RequestInfo | URL, init?: RequestInit) => call(new Request(input as never, init));
  // The client's addresses are the public ones, but no request of its leaves this worker.
  const api = botClient({ url: env.PUBLIC_URL, apiKey: settings.apiKey, fetch: own as typeof fetch });
  return {
    studio: new Studio({ api, clock, random: () => chanceOf(request) }),
    async wires(workspace) {
      const token = slack.botToken ?? (await installations?.find(workspace))?.token;
      if (!token) throw new NotInstalled(nameOfInstallation(workspace));
      const wire = fetchWire({ apiUrl: slack.apiUrl, token, clock, fetch: fetcher });
      return pacedWire(wire, turnsOf(env, workspace));
    },
    people,
    jobs: {
      async follow({ id: generation }, origin) {
        await start(env, generation, { kind: "slack_follow", generation, origin });
      },
    },
    clock,
    log,
    async forget(workspace) {
      await installations?.remove(workspace);
      log({ event: "uninstalled", workspace: nameOfInstallation(workspace) });
    },
    once,
    reachable,
  };
}

/** 0 to 1, below 1 (FNV-1a). */
function chanceOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0) / 2 ** 32;
}

/** One object knows how often a workspace has been called, whichever object calls it. */
function turnsOf(env: Bindings, workspace: Workspace): Turns {
  return {
    async take(method, channel, options = {}) {
      const name = `slack:turns:${nameOfInstallation(workspace)}`;
      const wait = await env.CHAT.get(env.CHAT.idFromName(name)).turn(method, channel, options);
      if (wait === null) throw new NoTurn(method);
      if (wait > 0) await clock.sleep(wait);
    },
  };
}

/** What a delivery asks for, after it was answered. */
export async function slackWork(deps: SlackDeps, { delivery, arrived }: { delivery: Delivery; arrived: number }) {
  await answer(deps, delivery, arrived).work?.();
}

/** Keeps a job's message true until nothing more will be shown, or the signal aborts. */
export async function keepSlack(
  deps: SlackDeps,
  { generation: id, origin }: { generation: string; origin: Origin },
  signal: AbortSignal,
): Promise<void> {
  const { api } = deps.studio;
  const wire = await deps.wires({ team: origin.place ?? "", org: origin.org ?? null });
  const generation = await deps.studio.get(id);
  const canvas = () => canvasOf(deps, wire, origin, generation);
  const lost = () => tellLost(wire, generation, origin);
  await keep(generation, origin, { api, clock, ...PACE, canvas, lost, log }, signal);
}
