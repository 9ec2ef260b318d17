import type { Generation } from "../../contract/generation.ts";
import { writeResumeId } from "../core/custom-id.ts";
import type { Origin } from "../core/origin.ts";
import { type ImagineRequest, parseRequest, type RawRequest, writeRequest } from "../core/request.ts";
import { sentence } from "../core/strings.ts";
import { oneLine } from "../core/text.ts";
import { type Answer, type DiscordDeps, type Wish, whisper } from "./deps.ts";
import { EPHEMERAL, PACE } from "./limits.ts";
import { apiUser, CALLBACK, type Interaction, isHidden, userId } from "./payload.ts";
import { answerOf, missingPermissions, originOf } from "./place.ts";
import { renderWaiting, WISH_CHARS } from "./render.ts";

export const later = (hidden: boolean) => ({
  type: CALLBACK.deferred,
  ...(hidden ? { data: { flags: EPHEMERAL } } : {}),
});

export function imagine(deps: DiscordDeps, interaction: Interaction, raw: RawRequest): Answer {
  const parsed = parseRequest(raw);
  if (!parsed.ok) return { callback: whisper(parsed.complaints, interaction, raw.prompt) };
  return draw(deps, interaction, parsed.request, interaction.id);
}

/** @param id the interaction that asked for it first */
function draw(deps: DiscordDeps, interaction: Interaction, request: ImagineRequest, id: string): Answer {
  return start(deps, interaction, {
    hidden: request.private,
    make: (origin) => deps.studio.imagine(request, origin, apiUser(interaction)),
    wish: { text: writeRequest(request), request: id },
  });
}

/** An API that takes longer than this to accept a job is waited for in words. */
const SILENCE_MS = 1_000;

export interface Start {
  hidden: boolean;
  make: (origin: Origin) => Promise<Generation>;
  wish?: Wish;
}

/** Answers with a message of its own and follows in it what `make` asks for. */
export function start(deps: DiscordDeps, interaction: Interaction, { hidden, make, wish }: Start): Answer {
  const missing = hidden ? [] : missingPermissions(interaction);
  if (missing.length > 0) {
    const said = [sentence("no_permission", { permissions: missing.join(", ") })];
    return { callback: whisper(said, interaction, wish?.text) };
  }
  const arrived = interaction.arrived ?? deps.clock.now();
  return {
    callback: later(hidden),
    ...(wish ? { wish } : {}),
    async work() {
      const message = await answerOf(deps.wire, interaction, deps.clock);
      const here = originOf(interaction, arrived, { private: hidden, message });
      const origin = { ...here, request: wish?.request ?? here.request };
      const made = make(origin);
      const waited = await waiting(deps, interaction, made, wish);
      const generation = await made;
      if (waited !== null) await deps.clock.sleep(Math.max(0, waited + PACE.interval - deps.clock.now()));
      await deps.jobs.follow(generation, origin);
    },
  };
}

/** Says that the API is waited for, with a button that asks again. @returns when, or null where it need not be said */
async function waiting(deps: DiscordDeps, interaction: Interaction, made: Promise<unknown>, wish?: Wish) {
  const text = oneLine(wish?.text ?? "", WISH_CHARS + 1);
  const late = deps.clock.sleep(SILENCE_MS).then(() => true);
  const answered = made.then(
    () => false,
    () => false,
  );
  if (!(await Promise.race([answered, late])) || !wish?.request || text.length > WISH_CHARS) return null;
  const right = { application: interaction.application_id, token: interaction.token };
  const id = writeResumeId(wish.request, userId(interaction));
  await deps.wire.editOriginal(right, renderWaiting(text, id, interaction.locale), []).catch(() => {});
  return deps.clock.now();
}

/** The button of a message that waits for its job, or tells why there is none: the same wish again, which draws nothing twice. */
export function resume(deps: DiscordDeps, interaction: Interaction, request: string, user: string): Answer {
  if (userId(interaction) !== user) return { callback: whisper([sentence("not_yours")], interaction) };
  const [, wish = ""] = /^`([^`]*)`/.exec(interaction.message?.content ?? "") ?? [];
  const parsed = parseRequest({ prompt: wish });
  if (!parsed.ok) return { callback: whisper(parsed.complaints, interaction) };
  const hidden = isHidden(interaction);
  // A refusal is the asker's alone; what it refused was for everybody.
  if (hidden && !parsed.request.private) return draw(deps, interaction, parsed.request, request);
  return {
    callback: { type: CALLBACK.deferredUpdate },
    async work() {
      const here = originOf(interaction, deps.clock.now(), { private: hidden, message: interaction.message?.id });
      const origin = { ...here, request };
      await deps.jobs.follow(await deps.studio.imagine(parsed.request, origin, apiUser(interaction)), origin);
    },
  };
}
