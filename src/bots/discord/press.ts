import { type Press, writeCustomId } from "../core/custom-id.ts";
import { type Judged, judge } from "../core/feedback.ts";
import { forget, shelfOf, star } from "../core/gallery.ts";
import { readOrigin } from "../core/origin.ts";
import { parseRequest, writeRequest } from "../core/request.ts";
import { sentence } from "../core/strings.ts";
import { requireOwner } from "../core/studio.ts";
import { withoutPhrase } from "../core/styles.ts";
import { noticeView } from "../core/view.ts";
import { canvasFor, details, gallery, moderated } from "./command.ts";
import { type Answer, type DiscordDeps, whisper } from "./deps.ts";
import { apiUser, CALLBACK, fields, type Interaction, isHidden } from "./payload.ts";
import { originOf } from "./place.ts";
import { renderModal, renderSaid } from "./render.ts";
import { later, start } from "./start.ts";

/** A form must open within 3 seconds; what is on the message does when the API takes longer than this. */
const PREFILL_MS = 400;

const NOTHING: Judged = { said: [sentence("unknown_button")], buttons: [] };
const sameMessage = { type: CALLBACK.deferredUpdate };

export async function press(deps: DiscordDeps, interaction: Interaction, pressed: Press): Promise<Answer> {
  const { studio } = deps;
  const { action, id } = pressed;
  const user = apiUser(interaction);
  const right = { application: interaction.application_id, token: interaction.token };
  if (action === "forget")
    return {
      callback: sameMessage,
      async work() {
        const { count, more } = await forget(studio.api, user);
        const said = sentence(more ? "forgotten_more" : "forgotten", { count });
        await deps.wire.followUp(right, renderSaid([said], interaction.locale));
      },
    };
  if (id === null) return { callback: whisper([sentence("unknown_button")], interaction) };
  switch (action) {
    case "meant":
    case "not_meant":
    case "keep_meant":
    case "keep_not_meant":
      return { callback: later(true), work: () => judged(deps, interaction, pressed) };
    case "details":
      return details(deps, interaction, id);
    case "favorite":
    case "unfavorite":
      return { callback: later(true), work: () => starred(deps, interaction, id, action === "favorite") };
    case "gallery":
    case "next_favorite":
      return { callback: sameMessage, work: () => gallery(deps, interaction, shelfOf(action), id) };
    case "remix":
    case "same_seed":
      return { callback: { type: CALLBACK.modal, data: await form(deps, interaction, pressed, id) } };
    case "reroll":
    case "vary":
    case "retry":
      return start(deps, interaction, {
        hidden: isHidden(interaction),
        make: async (origin) => studio.repeat(pressed, await studio.get(id), origin, user),
      });
    case "cancel":
    case "show":
      return { callback: sameMessage, work: () => refresh(deps, interaction, id, action === "cancel") };
    case "delete":
      return { callback: sameMessage, work: () => remove(deps, interaction, id) };
    default:
      return { callback: whisper([sentence("unknown_button")], interaction) };
  }
}

async function judged(deps: DiscordDeps, interaction: Interaction, pressed: Press): Promise<void> {
  const locale = interaction.locale ?? "en";
  const { said, buttons } = (await judge(deps.studio, pressed, apiUser(interaction), locale)) ?? NOTHING;
  const right = { application: interaction.application_id, token: interaction.token };
  await deps.wire.editOriginal(right, { ...renderSaid(said, locale, { buttons }), flags: undefined }, []);
}

async function starred(
  { studio, wire }: DiscordDeps,
  interaction: Interaction,
  id: string,
  on: boolean,
): Promise<void> {
  await star(studio.api, apiUser(interaction), id, on);
  const said = on ? sentence("favorite_kept", { command: "/gallery favorites" }) : sentence("favorite_gone");
  const right = { application: interaction.application_id, token: interaction.token };
  await wire.editOriginal(right, { ...renderSaid([said], interaction.locale), flags: undefined }, []);
}

/** Remix and Same seed, filled in. */
export function modal(deps: DiscordDeps, interaction: Interaction, { action, id }: Press): Answer {
  if (id === null) return { callback: whisper([sentence("unknown_button")], interaction) };
  const { prompt, avoid, seed } = fields(interaction);
  const parsed = parseRequest({ prompt, avoid: avoid || undefined, seed: seed || undefined });
  if (!parsed.ok) return { callback: whisper(parsed.complaints, interaction, prompt) };
  const { request } = parsed;
  return start(deps, interaction, {
    hidden: isHidden(interaction),
    make: async (origin) =>
      deps.studio.rewrite(await deps.studio.get(id), request, origin, apiUser(interaction), action),
    wish: { text: writeRequest(request), request: null },
  });
}

async function form(deps: DiscordDeps, interaction: Interaction, { action }: Press, id: string) {
  const written = /^`([^`]*)`/.exec(interaction.message?.content ?? "")?.[1] ?? "";
  const seed = /seed (\d+)/.exec(interaction.message?.content ?? "")?.[1] ?? "";
  const known = await Promise.race([
    deps.studio.get(id).catch(() => null),
    deps.clock.sleep(PREFILL_MS).then(() => null),
  ]);
  const prompt = known ? withoutPhrase(known.prompt, readOrigin(known.metadata)?.style ?? null) : written;
  const kept = known ? String(known.parameters.seed) : seed;
  return renderModal(
    writeCustomId({ action, id }),
    { prompt, avoid: known?.negative_prompt ?? "", seed: action === "same_seed" ? kept : "" },
    interaction.locale,
  );
}

/** The message as the job is now, with a fresh right to go on editing it. */
async function refresh(deps: DiscordDeps, interaction: Interaction, id: string, cancel: boolean): Promise<void> {
  let generation = await deps.studio.get(id);
  if (cancel) {
    requireOwner(generation, apiUser(interaction), moderated(interaction));
    generation = await deps.studio.cancel(id);
  }
  const known = readOrigin(generation.metadata);
  const here = originOf(interaction, deps.clock.now(), {
    private: isHidden(interaction),
    message: interaction.message?.id,
  });
  await deps.jobs.follow(generation, { ...here, style: known?.style });
}

async function remove(deps: DiscordDeps, interaction: Interaction, id: string): Promise<void> {
  const generation = await deps.studio.get(id);
  requireOwner(generation, apiUser(interaction), moderated(interaction));
  await deps.studio.delete(id);
  const right = { application: interaction.application_id, token: interaction.token };
  await deps.wire.deleteOriginal(right).catch(async () => {
    const origin = originOf(interaction, deps.clock.now(), { private: isHidden(interaction) });
    await canvasFor(deps, interaction, origin).show(noticeView(sentence("removed"), origin.locale));
  });
}
