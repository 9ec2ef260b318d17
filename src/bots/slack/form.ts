import { type Press, writeCustomId } from "../core/custom-id.ts";
import { readOrigin } from "../core/origin.ts";
import { parseRequest } from "../core/request.ts";
import { say, sentence, stringsFor } from "../core/strings.ts";
import { withoutPhrase } from "../core/styles.ts";
import { Told } from "../core/trouble.ts";
import type { Answer } from "./deps.ts";
import type { Ask, SlackMessage, SlackView } from "./payload.ts";
import type { Scene } from "./place.ts";
import { renderForm } from "./render.ts";
import { start, wishOf } from "./start.ts";

/** A form must open within 3 seconds; what is on the message does when the API takes longer than this. */
const PREFILL_MS = 400;

/** What a form has to know again when it is sent. */
interface FormPlace {
  channel: string | null;
  thread: string | null;
  locale: string;
  /** Of the press, where its message is the asker's alone: what is drawn takes that message's place. */
  responseUrl: string | null;
}

/** Opens the form of Remix or Same seed, filled in. */
export async function openForm(scene: Scene, { action, id }: Press): Promise<void> {
  const { deps, ask, wire, person } = scene;
  if (id === null) throw new Told(sentence("unknown_button"));
  const known = await Promise.race([
    deps.studio.get(id).catch(() => null),
    deps.clock.sleep(PREFILL_MS).then(() => null),
  ]);
  const written = onMessage(ask.message);
  const prompt = known ? withoutPhrase(known.prompt, readOrigin(known.metadata)?.style ?? null) : written.prompt;
  const seed = known ? String(known.parameters.seed) : written.seed;
  const place: FormPlace = {
    channel: ask.channel,
    thread: ask.thread,
    locale: person.locale,
    responseUrl: ask.hidden ? ask.responseUrl : null,
  };
  const fields = { prompt, avoid: known?.negative_prompt ?? "", seed: action === "same_seed" ? seed : "" };
  await wire.call("views.open", {
    trigger_id: ask.trigger,
    view: renderForm(writeCustomId({ action, id }), JSON.stringify(place), fields, person.locale),
  });
}

/** A form that was sent: what is wrong with it is said in it. */
export function submitted(ask: Ask, view: SlackView, pressed: Press): Answer & { at: Ask; run?: Run } {
  const { channel, thread, locale, responseUrl } = JSON.parse(view.private_metadata || "{}") as FormPlace;
  const field = (name: string) => view.state?.values[name]?.[name]?.value ?? undefined;
  const raw = { prompt: field("prompt"), avoid: field("avoid"), seed: field("seed") };
  const parsed = parseRequest(raw);
  const at: Ask = { ...ask, channel, thread, responseUrl, hidden: responseUrl !== null };
  if (!parsed.ok) {
    const texts = parsed.complaints.map(({ key, params }) => ({ key, text: say(stringsFor(locale), key, params) }));
    const errors: Record<string, string> = {};
    for (const { key, text } of texts) {
      const name = key === "seed_bad" ? "seed" : "prompt";
      errors[name] = errors[name] ? `${errors[name]} ${text}` : text;
    }
    return { ack: { response_action: "errors", errors }, at };
  }
  const { request } = parsed;
  return { at, run: (scene) => start(scene, wishOf(pressed, raw), at.hidden, request.prompt) };
}

export type Run = (scene: Scene) => Promise<void>;

/** What can be read off a message when the API is silent. */
function onMessage(message: SlackMessage | null): { prompt: string; seed: string } {
  const blocks = message?.blocks ?? [];
  const status = blocks.flatMap(({ type, elements = [] }) =>
    type === "context" ? elements.map(({ text }) => (typeof text === "string" ? text : (text?.text ?? ""))) : [],
  );
  return {
    prompt: blocks.find(({ type }) => type === "section")?.text?.text ?? "",
    seed: /\bseed (\d+)/.exec(status.join(" "))?.[1] ?? "",
  };
}
