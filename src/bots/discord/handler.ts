import { readCustomId, readResumeId, writeResumeId } from "../core/custom-id.ts";
import { sentence } from "../core/strings.ts";
import { mayWorkLater, sentenceFor } from "../core/trouble.ts";
import { autocomplete } from "./autocomplete.ts";
import { command } from "./command.ts";
import { type Answer, type DiscordDeps, whisper } from "./deps.ts";
import { EPHEMERAL } from "./limits.ts";
import { CALLBACK, type Callback, INTERACTION, type Interaction, userId } from "./payload.ts";
import { modal, press } from "./press.ts";
import { renderSaid } from "./render.ts";
import { resume } from "./start.ts";

/** Answers an interaction. Commands and buttons are answered before anything else is asked. */
export async function answer(deps: DiscordDeps, interaction: Interaction): Promise<Answer> {
  switch (interaction.type) {
    case INTERACTION.ping:
      return { callback: { type: CALLBACK.pong } };
    case INTERACTION.command:
      return guarded(deps, interaction, command(deps, interaction));
    case INTERACTION.autocomplete:
      return { callback: await autocomplete(deps, interaction) };
    case INTERACTION.component:
    case INTERACTION.modal: {
      const waiting = readResumeId(interaction.data?.custom_id ?? "");
      if (waiting) return guarded(deps, interaction, resume(deps, interaction, waiting.request, waiting.user));
      const pressed = readCustomId(interaction.data?.custom_id ?? "");
      if (!pressed) break;
      const handle = interaction.type === INTERACTION.modal ? modal : press;
      return guarded(deps, interaction, await handle(deps, interaction, pressed));
    }
  }
  return { callback: whisper([sentence("unknown_button")], interaction) };
}

/** What fails after the answer is told in a sentence, to the asker alone; Discord's own failures only to the log. */
function guarded(deps: DiscordDeps, interaction: Interaction, { callback, work, wish }: Answer): Answer {
  const { clock, log } = deps;
  if (!work) return { callback };
  return {
    callback,
    async work() {
      try {
        await work();
      } catch (error) {
        log({ event: "work_failed", interaction: interaction.id, error: nameOf(error) });
        const now = Math.round(clock.now() / 1000);
        const said = sentenceFor(error, (seconds) => `<t:${now + seconds}:R>`);
        const again = wish?.request && mayWorkLater(error) ? writeResumeId(wish.request, userId(interaction)) : null;
        const body = renderSaid([said], interaction.locale, { wish: wish?.text ?? "", resume: again });
        await tell(deps, interaction, callback, body).catch((refused: unknown) =>
          log({ event: "tell_failed", interaction: interaction.id, error: String(refused) }),
        );
      }
    },
  };
}

async function tell({ wire }: DiscordDeps, interaction: Interaction, callback: Callback, body: object): Promise<void> {
  const right = { application: interaction.application_id, token: interaction.token };
  if (callback.type === CALLBACK.deferred) {
    if (Number(callback.data?.flags ?? 0) & EPHEMERAL)
      return wire.editOriginal(right, { ...body, flags: undefined, attachments: [] }, []);
    // The answer that was promised would be everybody's.
    await wire.deleteOriginal(right).catch(() => {});
  }
  await wire.followUp(right, body);
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "unknown");
