import { isTerminal } from "../../contract/generation.ts";
import type { Press } from "../core/custom-id.ts";
import { detailsOf } from "../core/details.ts";
import { judge } from "../core/feedback.ts";
import { forget, shelfOf, star } from "../core/gallery.ts";
import { readOrigin } from "../core/origin.ts";
import { sentence } from "../core/strings.ts";
import { requireOwner } from "../core/studio.ts";
import { withoutPhrase } from "../core/styles.ts";
import { Told } from "../core/trouble.ts";
import { noticeView, viewOf } from "../core/view.ts";
import { gallery, post } from "./command.ts";
import { canvasOf } from "./job-canvas.ts";
import { apiUser } from "./payload.ts";
import { dismiss, moderated, originOf, type Scene, tell, whisper } from "./place.ts";
import { renderDetails } from "./render.ts";
import { resume, start, wishOf } from "./start.ts";
import { SlackRefusal } from "./wire.ts";

/** A button under a message of the bot; forms are opened elsewhere, because they cannot wait. */
export async function press(scene: Scene, pressed: Press, value: string | undefined): Promise<void> {
  const { deps, ask } = scene;
  const { action, id } = pressed;
  if (action === "forget") {
    const { count, more } = await forget(deps.studio.api, apiUser(ask));
    return tell(scene, [sentence(more ? "forgotten_more" : "forgotten", { count })]);
  }
  if (action === "resume") return resume(scene, value);
  if (id === null) throw new Told(sentence("unknown_button"));
  switch (action) {
    case "details":
      return whisper(scene, renderDetails(detailsOf(await deps.studio.get(id), scene.person.locale)));
    case "meant":
    case "not_meant":
    case "keep_meant":
    case "keep_not_meant": {
      const judged = await judge(deps.studio, pressed, apiUser(ask), scene.person.locale);
      if (judged) await tell(scene, judged.said, judged.buttons);
      return;
    }
    case "favorite":
    case "unfavorite": {
      await star(deps.studio.api, apiUser(ask), id, action === "favorite");
      const kept = sentence("favorite_kept", { command: "/vignette favorites" });
      return tell(scene, [action === "favorite" ? kept : sentence("favorite_gone")]);
    }
    case "gallery":
    case "next_favorite":
      return gallery(scene, shelfOf(action), id);
    case "reroll":
    case "shuffle":
    case "vary":
    case "retry":
      return again(scene, pressed, id);
    case "send":
      return send(scene, id);
    case "show":
      return refresh(scene, id);
    case "cancel":
      return cancel(scene, id);
    case "delete":
      return remove(scene, id);
    default:
      throw new Told(sentence("unknown_button"));
  }
}

async function again(scene: Scene, pressed: Press, id: string): Promise<void> {
  const from = await scene.deps.studio.get(id);
  const prompt = withoutPhrase(from.prompt, readOrigin(from.metadata)?.style ?? null);
  await start(scene, wishOf(pressed), scene.ask.hidden, prompt);
}

/** A preview goes to everybody, once: it is gone before it could be sent again. */
async function send(scene: Scene, id: string): Promise<void> {
  const generation = await scene.deps.studio.get(id);
  requireOwner(generation, apiUser(scene.ask), null);
  await scene.deps.once("sent", async () => {
    await post(scene, generation);
    return true;
  });
  await dismiss(scene);
}

async function cancel(scene: Scene, id: string): Promise<void> {
  const { deps, ask } = scene;
  const generation = await deps.studio.get(id);
  requireOwner(generation, apiUser(ask), moderated(scene));
  // A preview that is there is put away; its picture stays in the gallery.
  if (ask.hidden && generation.status === "succeeded") return dismiss(scene);
  await follow(scene, await deps.studio.cancel(id));
}

/** The newest state; a flagged picture for this person alone. */
async function refresh(scene: Scene, id: string): Promise<void> {
  const { deps, wire } = scene;
  const generation = await deps.studio.get(id);
  const flagged = generation.images.some((image) => image.flagged);
  if (!isTerminal(generation.status) || !flagged) return follow(scene, generation);
  const origin = { ...originOf(scene, { hidden: true }), message: undefined };
  const seen = { ...generation, images: generation.images.map((image) => ({ ...image, flagged: false })) };
  const view = viewOf(seen, origin, deps.clock.now());
  await canvasOf(deps, wire, origin, generation).write({ ...view, buttons: [] }, (body) => whisper(scene, body));
}

/** Goes on keeping the pressed message true. */
async function follow(scene: Scene, generation: Awaited<ReturnType<Scene["deps"]["studio"]["get"]>>): Promise<void> {
  const { ask, deps } = scene;
  const known = readOrigin(generation.metadata);
  const message = ask.hidden ? undefined : ask.message?.ts;
  const origin = originOf(scene, { hidden: ask.hidden, ...(message ? { message } : {}) });
  await deps.jobs.follow(generation, { ...origin, style: known?.style });
}

async function remove(scene: Scene, id: string): Promise<void> {
  const { deps, ask, wire } = scene;
  const generation = await deps.studio.get(id);
  requireOwner(generation, apiUser(ask), moderated(scene));
  await deps.studio.delete(id);
  if (ask.hidden || !ask.message) return dismiss(scene);
  try {
    await wire.call("chat.delete", { channel: ask.channel, ts: ask.message.ts });
  } catch (error) {
    if (!(error instanceof SlackRefusal)) throw error;
    const origin = originOf(scene, { hidden: false, message: ask.message.ts });
    await canvasOf(deps, wire, origin, generation).show(noticeView(sentence("removed"), origin.locale));
  }
}
