import type { Origin } from "../core/origin.ts";
import { type Sentence, sentence } from "../core/strings.ts";
import { sentenceFor, Told } from "../core/trouble.ts";
import type { Button } from "../core/view.ts";
import type { SlackDeps } from "./deps.ts";
import { SLACK } from "./limits.ts";
import type { Ask } from "./payload.ts";
import type { Person } from "./people.ts";
import { renderSaid } from "./render.ts";
import { isOutside, isUninstalled, SlackRefusal, type SlackWire } from "./wire.ts";

/** An ask with what has to be known to answer it. */
export interface Scene {
  deps: SlackDeps;
  ask: Ask;
  wire: SlackWire;
  person: Person;
}

/** Where an ask stands, as a job keeps it. */
export function originOf({ ask, person }: Scene, { hidden, message }: { hidden: boolean; message?: string }): Origin {
  return {
    chat: "slack",
    request: ask.request,
    place: ask.team,
    org: ask.org ?? undefined,
    channel: ask.channel ?? ask.user,
    message,
    thread: ask.thread ?? undefined,
    ...(hidden && ask.responseUrl ? { token: ask.responseUrl, expires: ask.arrived + SLACK.responseUrl } : {}),
    locale: person.locale,
    private: hidden,
  };
}

/** The workspace that a person moderates, if they do. */
export const moderated = ({ ask, person }: Scene): string | null => (person.admin ? ask.team : null);

/** Says something to the asker alone, by whichever way is open. */
export async function tell(scene: Scene, said: Sentence[], buttons: Button[][] = []) {
  await whisper(scene, renderSaid(said, scene.person.locale, { buttons }));
}

/** Takes a message that only the asker sees away. */
export async function dismiss({ ask, wire }: Scene): Promise<void> {
  if (ask.responseUrl) await wire.respond(ask.responseUrl, { delete_original: true });
}

/**
 * A message for the asker alone: an answer, else beside the channel's messages, else their own with the bot.
 * @param options.inPlace of the one that only they see already
 */
export async function whisper(
  { ask, wire, deps }: Scene,
  body: { text: string; blocks: unknown[] },
  { inPlace = false } = {},
): Promise<void> {
  const { responseUrl, channel, user, thread } = ask;
  if (responseUrl) {
    try {
      return await wire.respond(responseUrl, { response_type: "ephemeral", replace_original: inPlace, ...body });
    } catch (error) {
      deps.log({ event: "respond_failed", error: String(error) });
    }
  }
  if (channel) {
    try {
      return void (await wire.call("chat.postEphemeral", { channel, user, thread_ts: thread, ...body }));
    } catch (error) {
      if (!(error instanceof SlackRefusal)) throw error;
    }
  }
  await wire.call("chat.postMessage", { channel: user, unfurl_links: false, ...body });
}

/** What is said of whatever went wrong. */
export function said(error: unknown, { locale }: Person): Sentence {
  if (isOutside(error)) return sentence("not_in_channel");
  if (isUninstalled(error)) return sentence("uninstalled");
  if (error instanceof SlackRefusal) return sentence("internal");
  return sentenceFor(error, (seconds) => inSeconds(seconds, locale));
}

const UNITS = [
  ["hour", 5400, 3600],
  ["minute", 90, 60],
  ["second", 0, 1],
] as const;

/** `in 5 minutes`, in the person's language. */
function inSeconds(seconds: number, locale: string): string {
  const [unit, , length] = UNITS.find(([, least]) => seconds >= least) ?? UNITS[2];
  return new Intl.RelativeTimeFormat(locale.replace("_", "-")).format(Math.round(seconds / length), unit);
}

/** What fails after the answer is told in a sentence; Slack's own failures to the log alone. */
export async function guarded(scene: Scene, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { deps, ask, person } = scene;
    if (!(error instanceof Told)) deps.log({ event: "work_failed", request: ask.request, error: nameOf(error) });
    await tell(scene, [said(error, person)]).catch((refused: unknown) =>
      deps.log({ event: "tell_failed", request: ask.request, error: nameOf(refused) }),
    );
  }
}

export const nameOf = (error: unknown): string =>
  error instanceof SlackRefusal ? `slack:${error.code}` : error instanceof Error ? error.name : "unknown";
