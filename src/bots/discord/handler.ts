import { readCustomId, readResumeId } from "../core/custom-id.ts";
import { sentence } from "../core/strings.ts";
import { sentenceFor } from "../core/trouble.ts";
import { autocomplete } from "./autocomplete.ts";
import { command, resume } from "./command.ts";
import { type Answer, type DiscordDeps, whisper } from "./deps.ts";
import { CALLBACK, INTERACTION, type Interaction } from "./payload.ts";
import { modal, press } from "./press.ts";
import { renderSaid } from "./render.ts";

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

/** What fails after the answer is told in its place, in a sentence; Discord's own failures only to the log. */
function guarded({ wire, clock, log }: DiscordDeps, interaction: Interaction, { callback, work }: Answer): Answer {
  if (!work) return { callback };
  const right = { application: interaction.application_id, token: interaction.token };
  return {
    callback,
    async work() {
      try {
        await work();
      } catch (error) {
        log({
          event: "work_failed",
          interaction: interaction.id,
          error: error instanceof Error ? error.name : "unknown",
        });
        const now = Math.round(clock.now() / 1000);
        const said = sentenceFor(error, (seconds) => `<t:${now + seconds}:R>`);
        const body = renderSaid([said], interaction.locale);
        const tell =
          callback.type === CALLBACK.deferred
            ? wire.editOriginal(right, { ...body, flags: undefined, attachments: [] }, [])
            : wire.followUp(right, body);
        await tell.catch((refused: unknown) =>
          log({ event: "tell_failed", interaction: interaction.id, error: String(refused) }),
        );
      }
    },
  };
}
