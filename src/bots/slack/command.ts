import type { Generation } from "../../contract/generation.ts";
import { pageOf, type Shelf } from "../core/gallery.ts";
import { channelOf, prefer } from "../core/preferences.ts";
import { quotasOf } from "../core/quotas.ts";
import { applySettings, groupOf } from "../core/settings.ts";
import { statusOf } from "../core/status.ts";
import { sentence, stringsFor } from "../core/strings.ts";
import { requireOwner } from "../core/studio.ts";
import { Told } from "../core/trouble.ts";
import { type Button, viewOf } from "../core/view.ts";
import { canvasOf } from "./job-canvas.ts";
import { apiUser, plain, type SlackCommand } from "./payload.ts";
import { moderated, originOf, type Scene, tell } from "./place.ts";
import { imagine } from "./start.ts";
import { isOutside } from "./wire.ts";

/** `/imagine` draws whatever is said after it; everything else is said to `/vignette`. */
export async function command(scene: Scene, { command: name, text }: SlackCommand): Promise<void> {
  const words = plain(text);
  if (name === "/imagine") return imagine(scene, { prompt: words });
  const [verb = "", ...rest] = words.split(/\s+/);
  switch (verb.toLowerCase()) {
    case "gallery":
    case "favorites":
      return gallery(scene, verb.toLowerCase() === "favorites" ? "favorites" : "gallery", null);
    case "show":
      return show(scene, rest[0] ?? "");
    case "quota":
      return tell(scene, await quotasOf(scene.deps.studio.api, apiUser(scene.ask), groupAt(scene)));
    case "prefer":
      return preferences(scene, words.slice(verb.length));
    case "status":
      return tell(scene, await statusOf(scene.deps.studio.api, scene.deps.clock));
    case "settings":
      return settings(scene, text);
    case "privacy":
      return privacy(scene);
    default:
      return tell(scene, [sentence("slack_help")]);
  }
}

/** `settings [@person] [day N] [at-once N] [all N] [block|unblock]`, for those who run the workspace. */
async function settings(scene: Scene, text: string): Promise<void> {
  if (!scene.person.admin) throw new Told(sentence("settings_denied"));
  const [, member] = /<@(\w+)(?:\|[^>]*)?>/.exec(text) ?? [];
  const value = (name: string) => new RegExp(`(?:^|\\s)-{0,2}${name}[\\s=]+(\\S+)`, "i").exec(text)?.[1];
  const [word] = /\b(?:un)?block\b/i.exec(text) ?? [];
  const raw = {
    day: value("day"),
    at_once: value("at[-_]once"),
    all: value("all"),
    block: word === undefined ? undefined : word.toLowerCase() === "block",
  };
  const person = member ? apiUser({ team: scene.ask.team, user: member }) : null;
  await tell(scene, await applySettings(scene.deps.studio.api, groupAt(scene), raw, person));
}

/** `prefer [here] [ratio 3:2] [style ink] [avoid WORDS] [reset]`; for a channel, administrators say it. */
async function preferences(scene: Scene, text: string): Promise<void> {
  const { deps, ask } = scene;
  const { studio } = deps;
  // What is to be avoided is the rest of the text.
  const [options = "", avoid] = text.split(/(?:^|\s)-{0,2}(?:avoid|no)[\s=]+/i);
  const value = (names: string) => new RegExp(`(?:^|\\s)-{0,2}(?:${names})[\\s=]+(\\S+)`, "i").exec(options)?.[1];
  const word = (name: string) => new RegExp(`(?:^|\\s)${name}(?:\\s|$)`, "i").test(options);
  const ofChannel = word("here");
  if (ofChannel && !scene.person.admin) throw new Told(sentence("settings_denied"));
  const raw = { ratio: value("ratio|ar"), style: value("style"), avoid, reset: word("reset") };
  const id = (ofChannel && channelOf(originOf(scene, { hidden: true }))) || apiUser(ask);
  await tell(scene, await prefer(studio.api, await studio.models(), id, raw, ofChannel));
}

const groupAt = ({ ask }: Scene): string => groupOf({ chat: "slack", place: ask.team }) ?? "";

async function privacy(scene: Scene): Promise<void> {
  const strings = stringsFor(scene.person.locale);
  const forget: Button = { action: "forget", id: null, index: null, label: strings.forget, tone: "danger" };
  await tell(scene, [sentence("privacy")], [[forget]]);
}

/** A page of one's pictures, in the message that is theirs alone. */
export async function gallery(scene: Scene, shelf: Shelf, before: string | null): Promise<void> {
  const { deps, ask } = scene;
  const origin = originOf(scene, { hidden: true });
  const page = { shelf, user: apiUser(ask), before, origin, now: deps.clock.now() };
  const { view, generation } = await pageOf(deps.studio.api, page);
  await canvasOf(deps, scene.wire, origin, generation).show(view);
}

/** One of one's own pictures, in the channel for everybody. */
async function show(scene: Scene, id: string): Promise<void> {
  const { deps, ask } = scene;
  const generation = await deps.studio.get(id);
  requireOwner(generation, apiUser(ask), moderated(scene));
  await post(scene, generation);
}

/** Posts a finished picture in the channel; where the bot is no member, Slack posts it as an answer. */
export async function post(scene: Scene, generation: Generation): Promise<void> {
  const { deps, wire, ask } = scene;
  const origin = originOf(scene, { hidden: false });
  const { channel, thread: thread_ts } = origin;
  const view = viewOf(generation, origin, deps.clock.now());
  const canvas = canvasOf(deps, wire, origin, generation);
  const quiet = { unfurl_links: false, unfurl_media: false };
  try {
    await canvas.write(view, (body) => wire.call("chat.postMessage", { channel, thread_ts, ...quiet, ...body }));
  } catch (error) {
    const { responseUrl } = ask;
    if (!isOutside(error) || !responseUrl) throw error;
    const answer = { response_type: "in_channel", replace_original: false };
    await canvas.write(view, (body) => wire.respond(responseUrl, { ...answer, ...body }));
  }
}
