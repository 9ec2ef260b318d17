import { readCustomId } from "../core/custom-id.ts";
import { sentence } from "../core/strings.ts";
import { command } from "./command.ts";
import { type Answer, NotInstalled, type SlackDeps } from "./deps.ts";
import { openForm, submitted } from "./form.ts";
import { openDetails, publishHome } from "./home.ts";
import { type Ask, askOf, type Delivery, plain, type SlackEvent, type SlackInteraction } from "./payload.ts";
import { guarded, nameOf, type Scene, tell } from "./place.ts";
import { press } from "./press.ts";
import { imagine } from "./start.ts";

/** The shortcut's callback, as manifest.json names it. */
export const IMAGINE_THIS = "imagine_this";

/** Answers what Slack delivered. Nothing is asked of anybody before the answer. */
export function answer(deps: SlackDeps, delivery: Delivery, arrived = deps.clock.now()): Answer {
  const ask = askOf(delivery, arrived);
  switch (delivery.kind) {
    case "command":
      return { work: scened(deps, ask, (scene) => command(scene, delivery.body)) };
    case "interaction":
      return interaction(deps, ask, delivery.body);
    case "event":
      return event(deps, ask, delivery.body);
  }
}

function interaction(deps: SlackDeps, ask: Ask, body: SlackInteraction): Answer {
  if (body.type === "message_action") {
    if (body.callback_id !== IMAGINE_THIS) return {};
    // The picture answers the message, in its thread.
    const at = { ...ask, thread: ask.thread ?? ask.message?.ts ?? null };
    return { work: scened(deps, at, (scene) => imagine(scene, { prompt: plain(body.message?.text ?? "") })) };
  }
  if (body.type === "view_submission") {
    const pressed = readCustomId(body.view?.callback_id ?? "");
    if (!pressed || !body.view) return {};
    const { ack, at, run } = submitted(ask, body.view, pressed);
    return { ...(ack ? { ack } : {}), ...(run ? { work: scened(deps, at, run) } : {}) };
  }
  const [action] = body.actions ?? [];
  const pressed = readCustomId(action?.action_id ?? "");
  if (!pressed) return { work: scened(deps, ask, (scene) => tell(scene, [sentence("unknown_button")])) };
  const { action: verb, id } = pressed;
  if (verb === "remix" || verb === "same_seed")
    return { urgent: scened(deps, ask, (scene) => openForm(scene, pressed)) };
  const home = body.container?.type === "view";
  if (home && verb === "details" && id !== null)
    return { urgent: scened(deps, ask, (scene) => openDetails(scene, id)) };
  return {
    work: scened(deps, ask, async (scene) => {
      await press(scene, pressed, action?.value);
      if (home) await publishHome(scene);
    }),
  };
}

function event(deps: SlackDeps, ask: Ask, { event: happened }: SlackEvent): Answer {
  switch (happened.type) {
    case "app_mention":
      // Bots that answer bots never end.
      if (happened.bot_id || !happened.user) return {};
      return { work: scened(deps, ask, (scene) => imagine(scene, { prompt: plain(happened.text ?? "") })) };
    case "app_home_opened":
      return happened.tab === "home" ? { work: scened(deps, ask, publishHome) } : {};
    case "app_uninstalled":
      return { work: () => deps.forget(ask) };
    case "tokens_revoked":
      // A person's token that was taken back is none of ours.
      return happened.tokens?.bot?.length ? { work: () => deps.forget(ask) } : {};
    default:
      return {};
  }
}

/** Work with the workspace's own wire and what is known of the asker; what goes wrong in it is told. */
function scened(deps: SlackDeps, ask: Ask, run: (scene: Scene) => Promise<void>): () => Promise<void> {
  return async () => {
    try {
      const wire = await deps.wires(ask);
      const person = await deps.people.of(wire, ask, ask.user);
      const scene = { deps, ask, wire, person };
      await guarded(scene, () => run(scene));
    } catch (error) {
      if (!(error instanceof NotInstalled)) throw error;
      deps.log({ event: "not_installed", request: ask.request, error: nameOf(error) });
    }
  };
}
