import type { Verdict } from "../../contract/feedback.ts";
import type { Generation } from "../../contract/generation.ts";
import { patience } from "./api.ts";
import type { Press } from "./custom-id.ts";
import { readOrigin } from "./origin.ts";
import { type Sentence, sentence, stringsFor } from "./strings.ts";
import type { Studio } from "./studio.ts";
import { withoutPhrase } from "./styles.ts";
import type { Button } from "./view.ts";

/** How far back a sentence is followed. */
const ANCESTORS = 8;

const VERDICTS: Partial<Record<Press["action"], Verdict>> = {
  meant: "meant",
  keep_meant: "meant",
  not_meant: "not_meant",
  keep_not_meant: "not_meant",
};

export interface Judged {
  said: Sentence[];
  buttons: Button[][];
}

/**
 * That's what I meant, or not: kept once the person agreed to it, and they are asked when they never did. A picture of an
 * edited sentence is kept with the one it began with.
 */
export async function judge(studio: Studio, press: Press, user: string, locale: string): Promise<Judged | null> {
  const verdict = VERDICTS[press.action];
  if (!verdict || press.id === null) return null;
  const keep = verdict === "meant" ? "keep_meant" : "keep_not_meant";
  const generation = await studio.own(press.id, user);
  if (press.action !== keep && !(await hasAgreed(studio, user))) {
    const button: Button = { action: keep, id: press.id, index: null, label: stringsFor(locale).keep, tone: "primary" };
    return { said: [sentence("feedback_consent")], buttons: [[button]] };
  }
  await give(studio, generation, verdict, user);
  return { said: [sentence(verdict === "meant" ? "feedback_kept" : "feedback_kept_not")], buttons: [] };
}

/** Whether the person agreed before that such words are kept. */
async function hasAgreed({ api }: Studio, user: string): Promise<boolean> {
  return (await api.feedback.list({ user, limit: 1 }, { signal: patience() })).data.length > 0;
}

async function give(studio: Studio, generation: Generation, verdict: Verdict, user: string): Promise<void> {
  const said = sentenceOf(generation);
  const narrative = sentenceOf(await first(studio, generation));
  const changed = narrative === said ? {} : { narrative, changed_into: said };
  await studio.api.feedback.give(generation.id, { verdict, consent: true, user, ...changed }, { signal: patience() });
}

/** The generation that this one goes back to, as far as it is still there. */
async function first(studio: Studio, generation: Generation): Promise<Generation> {
  let oldest = generation;
  for (let steps = 0; steps < ANCESTORS; steps++) {
    const parent = readOrigin(oldest.metadata)?.parent;
    const before = parent ? await studio.get(parent).catch(() => null) : null;
    if (!before) return oldest;
    oldest = before;
  }
  return oldest;
}

/** What the person wrote, without what a style added. */
const sentenceOf = ({ prompt, metadata }: Generation) => withoutPhrase(prompt, readOrigin(metadata)?.style ?? null);
