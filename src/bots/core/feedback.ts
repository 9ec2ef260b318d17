import type { Verdict } from "../../contract/feedback.ts";
import type { Press } from "./custom-id.ts";
import { type Sentence, sentence, stringsFor } from "./strings.ts";
import type { Studio } from "./studio.ts";
import type { Button } from "./view.ts";

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
  const agrees = press.action === keep || (await studio.hasAgreed(user));
  if (!agrees) {
    await studio.own(press.id, user);
    const button: Button = { action: keep, id: press.id, index: null, label: stringsFor(locale).keep, tone: "primary" };
    return { said: [sentence("feedback_consent")], buttons: [[button]] };
  }
  await studio.judge(press.id, verdict, user);
  return { said: [sentence(verdict === "meant" ? "feedback_kept" : "feedback_kept_not")], buttons: [] };
}
