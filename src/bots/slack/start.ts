import type { Generation } from "../../contract/generation.ts";
import { readCustomId, writeCustomId } from "../core/custom-id.ts";
import type { Origin } from "../core/origin.ts";
import { parseRequest, type RawRequest } from "../core/request.ts";
import { sentence, stringsFor } from "../core/strings.ts";
import type { Studio } from "../core/studio.ts";
import { mayWorkLater, Told } from "../core/trouble.ts";
import { type Button, waitingView } from "../core/view.ts";
import { SLACK } from "./limits.ts";
import { apiUser } from "./payload.ts";
import { dismiss, nameOf, originOf, type Scene, said, whisper } from "./place.ts";
import { type Rendered, renderSaid, renderView } from "./render.ts";

/** What somebody asks to be drawn: a sentence with its options, and perhaps the picture that it goes back to. */
export interface Wish {
  raw: RawRequest;
  /** The button under the picture that it goes back to, as `custom_id` writes it. */
  from?: string | undefined;
}

/** `/imagine`, by whichever way it was said. */
export async function imagine(scene: Scene, raw: RawRequest): Promise<void> {
  const parsed = parseRequest(raw);
  if (!parsed.ok) return whisper(scene, renderSaid(parsed.complaints, scene.person.locale, { wish: raw.prompt }));
  await start(scene, { raw }, parsed.request.private, parsed.request.prompt);
}

/**
 * Posts the job's message, then asks for the job: so that the job knows its message, and whoever finds it again does too.
 * A bot that dies between the two leaves a message whose button asks again, for the same thing and not for another.
 */
export async function start(scene: Scene, wish: Wish, hidden: boolean, prompt: string): Promise<void> {
  const { deps, ask, person } = scene;
  const again = resumeOf(scene, wish);
  const body = renderView(waitingView(prompt, person.locale, hidden ? [] : again.buttons), again);
  let begun: Begun | null = null;
  let generation: Generation;
  try {
    begun = hidden ? await preview(scene, body) : await post(scene, body);
    generation = await order(deps.studio, wish, begun.origin, apiUser(ask));
  } catch (error) {
    // Nothing is drawn, so nothing stays: what went wrong is for the asker alone.
    await begun?.remove();
    if (!(error instanceof Told)) deps.log({ event: "work_failed", request: ask.request, error: nameOf(error) });
    const buttons = mayWorkLater(error) ? again.buttons : [];
    const refusal = renderSaid([said(error, person)], person.locale, { wish: prompt, buttons, value: again.value });
    return whisper(scene, refusal, { inPlace: hidden });
  }
  await deps.jobs.follow(generation, begun.origin);
}

interface Begun {
  origin: Origin;
  remove: () => Promise<unknown>;
}

/** The message that only the asker sees; an answer that refuses takes its place. */
async function preview(scene: Scene, body: Rendered): Promise<Begun> {
  const { ask, wire } = scene;
  if (ask.responseUrl)
    await wire.respond(ask.responseUrl, { response_type: "ephemeral", replace_original: ask.hidden, ...body });
  return { origin: originOf(scene, { hidden: true }), remove: async () => {} };
}

async function post(scene: Scene, body: Rendered): Promise<Begun> {
  const { deps, ask, wire } = scene;
  const { ts, channel } = await deps.once("message", () =>
    wire.call<{ ts: string; channel: string }>("chat.postMessage", {
      channel: ask.channel ?? ask.user,
      thread_ts: ask.thread,
      unfurl_links: false,
      unfurl_media: false,
      ...body,
    }),
  );
  return {
    origin: { ...originOf(scene, { hidden: false, message: ts }), channel },
    remove: () => wire.call("chat.delete", { channel, ts }).catch(() => {}),
  };
}

/** The button that asks for the same thing again; none where it could not carry the whole wish. */
function resumeOf({ ask, person }: Scene, wish: Wish): { buttons: Button[][]; value: string } {
  const label = stringsFor(person.locale).resume;
  const value = JSON.stringify({ request: ask.request, user: ask.user, wish });
  const button: Button = { action: "resume", id: null, index: null, label, tone: "secondary" };
  return { buttons: value.length > SLACK.buttonValue ? [] : [[button]], value };
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

/** The button of a message that waits for its job, or tells why there is none: the same wish again, which draws nothing twice. */
export async function resume(scene: Scene, value: string | undefined): Promise<void> {
  const { request, user, wish } = JSON.parse(value ?? "{}") as { request?: string; user?: string; wish?: Wish };
  const { ask } = scene;
  if (!request || !wish || !ask.message) throw new Told(sentence("unknown_button"));
  if (user !== ask.user) throw new Told(sentence("not_yours"));
  const same = { ...scene, ask: { ...ask, request } };
  // A refusal is the asker's alone, and makes room for what it refused.
  if (ask.hidden) return startAgain(same, wish);
  const origin = originOf(same, { hidden: false, message: ask.message.ts });
  await scene.deps.jobs.follow(await order(scene.deps.studio, wish, origin, apiUser(ask)), origin);
}

async function startAgain(scene: Scene, wish: Wish): Promise<void> {
  const parsed = parseRequest(wish.raw);
  const hidden = parsed.ok && parsed.request.private;
  const prompt = parsed.ok ? parsed.request.prompt : "";
  if (!hidden) await dismiss(scene);
  await start(scene, wish, hidden, prompt);
}

export const wishOf = (from: Parameters<typeof writeCustomId>[0], raw: RawRequest = {}): Wish => ({
  raw,
  from: writeCustomId(from),
});
