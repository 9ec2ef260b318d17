import { ClientError } from "../../client/index.ts";
import { type Sentence, sentence } from "./strings.ts";
import { oneLine } from "./text.ts";

const DETAIL_CHARS = 300;
const MINUTE_S = 60;
const HOUR_S = 3600;

/** Something a person is told instead of what they asked for. */
export class Told extends Error {
  readonly said: Sentence;
  constructor(said: Sentence) {
    super(said.key);
    this.name = "Told";
    this.said = said;
  }
}

/** Whether the same wish, asked for again later, may be met; a mistake in it stays one. */
export function mayWorkLater(error: unknown): boolean {
  if (error instanceof Told) return false;
  if (!(error instanceof ClientError)) return true;
  const { status, problem } = error;
  return problem?.code !== "user_blocked" && ([401, 403, 429].includes(status) || status >= 500);
}

/** What is said of a failed call to the API. The sentence holds neither keys nor addresses. */
export function sentenceFor(error: unknown, when: (seconds: number) => string): Sentence {
  if (error instanceof Told) return error.said;
  if (!(error instanceof ClientError)) return sentence("api_down");
  const { status, problem, retryAfter } = error;
  if (problem?.code === "user_blocked") return sentence("user_blocked");
  if (status === 401 || status === 403) return sentence("api_key");
  if (status === 404) return sentence("not_found");
  if (problem?.code === "quota_exceeded" && problem["violated-policies"]?.includes("group-images-per-day"))
    return sentence("quota_full_here", { when: when(retryAfter ?? HOUR_S) });
  if (problem?.code === "quota_exceeded") return sentence("quota_day", { when: when(retryAfter ?? HOUR_S) });
  if (problem?.code === "too_many_generations") return sentence("quota_now");
  if (status === 429 || status === 503) return sentence("api_busy", { when: when(retryAfter ?? MINUTE_S) });
  if (status >= 500 || !problem) return sentence("api_down");
  const detail = problem.errors?.map((field) => field.detail).join(" ") || problem.detail;
  return sentence("api_refused", { detail: oneLine(detail, DETAIL_CHARS) });
}
