import type { Generation } from "../../contract/generation.ts";
import { readCustomId, writeCustomId } from "../core/custom-id.ts";
import type { Origin } from "../core/origin.ts";
import { parseRequest, type RawRequest } from "../core/request.ts";
import { sentence, stringsFor } from "../core/strings.ts";
import type { Studio } from "../core/studio.ts";
import { Told } from "../core/trouble.ts";
import { waitingView } from "../core/view.ts";
import { SLACK } from "./limits.ts";
import { apiUser } from "./payload.ts";
import { originOf, type Scene, tell } from "./place.ts";
import { renderView } from "./render.ts";

/** What somebody asks to be drawn: a sentence with its options, and perhaps the picture that it goes back to. */
export interface Wish {
  raw: RawRequest;
  /** The button under the picture that it goes back to, as `custom_id` writes it. */
  from?: string | undefined;
}

/** `/imagine`, by whichever way it was said. */
export async function imagine(scene: Scene, raw: RawRequest): Promise<void> {
  const parsed = parseRequest(raw);
  if (!parsed.ok) return tell(scene, parsed.complaints);
  await start(scene, { raw }, parsed.request.private, parsed.request.prompt);
}

/**
 * Posts the job's message, then asks for the job: so that the job knows its message, and whoever finds it again does too.
 * A bot that dies between the two leaves a message whose button asks again, for the same thing and not for another.
 */
export async function start(scene: Scene, wish: Wish, hidden: boolean, prompt: string): Promise<void> {
  const { deps, ask, wire, person } = scene;
  const resume = { action: "resume", id: null, index: null, label: stringsFor(person.locale).resume } as const;
  const value = JSON.stringify({ request: ask.request, user: ask.user, wish });
  const buttons = value.length > SLACK.buttonValue || hidden ? [] : [[{ ...resume, tone: "secondary" } as const]];
  const body = renderView(waitingView(prompt, person.locale, buttons), { value });
  if (hidden) {
    if (ask.responseUrl)
      await wire.respond(ask.responseUrl, { response_type: "ephemeral", replace_original: ask.hidden, ...body });
    const origin = originOf(scene, { hidden });
    return deps.jobs.follow(await order(deps.studio, wish, origin, apiUser(ask)), origin);
  }
  const channel = ask.channel ?? ask.user;
  const posted = await deps.once("message", () =>
    wire.call<{ ts: string; channel: string }>("chat.postMessage", {
      channel,
      thread_ts: ask.thread,
      unfurl_links: false,
      unfurl_media: false,
      ...body,
    }),
  );
  const origin = { ...originOf(scene, { hidden, message: posted.ts }), channel: posted.channel };
  let generation: Generation;
  try {
    generation = await order(deps.studio, wish, origin, apiUser(ask));
  } catch (error) {
    // Nothing is drawn, so nothing stays: what went wrong is for the asker alone.
    await wire.call("chat.delete", { channel: posted.channel, ts: posted.ts }).catch(() => {});
    throw error;
  }
  await deps.jobs.follow(generation, origin);
}

async function order(studio: Studio, { raw, from }: Wish, origin: Origin, user: string): Promise<Generation> {
  const press = from === undefined ? null : readCustomId(from);
  if (press?.id && press.action !== "remix" && press.action !== "same_seed")
    return studio.repeat(press, await studio.get(press.id), origin, user);
  const parsed = parseRequest(raw);
  if (!parsed.ok) throw new Told(parsed.complaints[0] ?? sentence("prompt_empty"));
  if (!press?.id) return studio.imagine(parsed.request, origin, user);
  return studio.rewrite(await studio.get(press.id), parsed.request, origin, user, press.action);
}

/** The button of a message that waits for its job: the same wish again, which draws nothing twice. */
export async function resume(scene: Scene, value: string | undefined): Promise<void> {
  const { request, user, wish } = JSON.parse(value ?? "{}") as { request?: string; user?: string; wish?: Wish };
  const { ask } = scene;
  if (!request || !wish || !ask.message) throw new Told(sentence("unknown_button"));
  if (user !== ask.user) throw new Told(sentence("not_yours"));
  const origin = originOf({ ...scene, ask: { ...ask, request } }, { hidden: false, message: ask.message.ts });
  await scene.deps.jobs.follow(await order(scene.deps.studio, wish, origin, apiUser(ask)), origin);
}

export const wishOf = (from: Parameters<typeof writeCustomId>[0], raw: RawRequest = {}): Wish => ({
  raw,
  from: writeCustomId(from),
});
