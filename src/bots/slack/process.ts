import { once } from "node:events";
import { createServer } from "node:net";
import { botClient } from "../core/api.ts";
import { LocalJobs } from "../core/jobs.ts";
import type { Origin } from "../core/origin.ts";
import { type Clock, systemClock } from "../core/pace.ts";
import { Studio } from "../core/studio.ts";
import { BotsError, type SlackSettings } from "../settings.ts";
import { Bolt } from "./bolt.ts";
import { boltWire } from "./bolt-wire.ts";
import { NotInstalled, type SlackDeps } from "./deps.ts";
import { fileInstallations } from "./file-installations.ts";
import { type Installations, nameOfInstallation } from "./installations.ts";
import { canvasOf } from "./job-canvas.ts";
import { PACE } from "./limits.ts";
import { quiet } from "./logger.ts";
import { tellLost } from "./lost.ts";
import type { Workspace } from "./payload.ts";
import { People } from "./people.ts";
import { reachable } from "./reachable.ts";
import { recover } from "./recover.ts";
import { sealOf } from "./seal.ts";
import { LocalTurns, pacedWire } from "./turns.ts";
import { SlackRefusal, type SlackWire } from "./wire.ts";

export interface SlackOptions {
  settings: SlackSettings;
  api: { url: string; apiKey: string; fetch?: typeof fetch };
  log: (event: Record<string, unknown>) => void;
  clock?: Clock;
  random?: () => number;
  /** How Bolt's client tries again. */
  retries?: number;
  clientPingTimeout?: number;
}

const PATIENCE_MS = 15_000;

/** Everything that the bot needs, and where it keeps installations, if there are any. */
export async function slackDeps(
  options: SlackOptions,
): Promise<SlackDeps & { jobs: LocalJobs; installations: Installations | null }> {
  const { settings, log, clock = systemClock, random = Math.random, retries = 3 } = options;
  const api = botClient(options.api);
  const studio = new Studio({ api, clock, random });
  const client = {
    slackApiUrl: settings.apiUrl,
    timeout: PATIENCE_MS,
    retryConfig: { retries, minTimeout: 300 },
    logger: quiet(log),
  };
  const wireOf = (token: string) => pacedWire(boltWire(token, client, clock), new LocalTurns(clock));
  const installations = settings.oauth
    ? fileInstallations(settings.oauth.folder, await sealOf(settings.oauth.encryptionKey))
    : null;
  const known = new Map<string, SlackWire>();
  const single = settings.botToken ? wireOf(settings.botToken) : null;
  async function wires(workspace: Workspace): Promise<SlackWire> {
    if (single) return single;
    const name = nameOfInstallation(workspace);
    const wire = known.get(name);
    if (wire) return wire;
    const installation = await installations?.find(workspace);
    if (!installation) throw new NotInstalled(name);
    const made = wireOf(installation.token);
    known.set(name, made);
    return made;
  }
  const deps = {
    studio,
    wires,
    people: new People(clock),
    clock,
    log,
    async forget(workspace: Workspace) {
      known.delete(nameOfInstallation(workspace));
      await installations?.remove(workspace);
      log({ event: "uninstalled", workspace: nameOfInstallation(workspace) });
    },
    // One process does a piece of work once.
    once: <T>(_: string, make: () => Promise<T>) => make(),
    reachable,
  };
  const at = ({ place = "", org }: Origin) => wires({ team: place, org: org ?? null });
  const jobs = new LocalJobs({
    api,
    clock,
    ...PACE,
    log,
    canvas: async (origin, generation) => canvasOf(deps, await at(origin), origin, generation),
    lost: async (generation, origin) => tellLost(await at(origin), generation, origin),
  });
  return { ...deps, jobs, installations };
}

/** Connects the bot and takes up what an earlier one left. @throws {BotsError} when Slack does not want its tokens */
export async function startSlack(options: SlackOptions): Promise<{ port: number | null; stop: () => Promise<void> }> {
  const { settings } = options;
  const deps = await slackDeps(options);
  const self = settings.botToken ? await introduce(deps, settings) : null;
  const { installations } = deps;
  const { clientPingTimeout } = options;
  const bolt = new Bolt({
    settings,
    deps,
    self,
    installations,
    ...(clientPingTimeout === undefined ? {} : { clientPingTimeout }),
  });
  let port: number | null;
  try {
    // Bolt hears of a taken port too late to say so.
    if (settings.oauth && settings.appToken) await requireFree(settings.port);
    port = await bolt.start();
  } catch (error) {
    throw told(error, settings);
  }
  const recovered = recover(deps).catch((error: unknown) =>
    options.log({ event: "recover_failed", error: error instanceof Error ? error.name : "unknown" }),
  );
  return {
    port,
    async stop() {
      await bolt.stop(() => deps.jobs.close());
      await recovered;
    },
  };
}

/** @throws what listening there throws */
async function requireFree(port: number): Promise<void> {
  const server = createServer();
  server.listen(port);
  await once(server, "listening");
  server.close();
  await once(server, "close");
}

async function introduce(deps: SlackDeps, settings: SlackSettings): Promise<{ bot: string; botUser: string }> {
  try {
    const wire = await deps.wires({ team: "", org: null });
    const { bot_id, user_id } = await wire.call<{ bot_id: string; user_id: string }>("auth.test", {});
    return { bot: bot_id, botUser: user_id };
  } catch (error) {
    if (error instanceof SlackRefusal)
      throw new BotsError(
        `Slack does not take SLACK_BOT_TOKEN (${error.code}); install the app again on its page OAuth & Permissions and copy the Bot User OAuth Token.`,
      );
    throw new BotsError(`${settings.apiUrl} does not answer.`, 1);
  }
}

function told(error: unknown, settings: SlackSettings): unknown {
  const { code, data } = error as { code?: string; data?: { error?: string } };
  if (code === "EADDRINUSE")
    return new BotsError(`The port ${settings.port} is taken; set SLACK_PORT to another one.`, 1);
  if (data?.error && settings.appToken)
    return new BotsError(
      `Slack does not take SLACK_APP_TOKEN (${data.error}); make one with the scope connections:write on Basic Information.`,
    );
  if (code === "slack_webapi_request_error") return new BotsError(`${settings.apiUrl} does not answer.`, 1);
  return error;
}
