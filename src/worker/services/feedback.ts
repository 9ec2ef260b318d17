import type { Feedback, FeedbackList, FeedbackQuery, GiveFeedback } from "../../contract/feedback.ts";
import type { Reading } from "../../contract/generation.ts";
import type { z } from "../../contract/zod.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { FeedbackRow } from "../storage/feedback.ts";
import type { ImageRow } from "../storage/images.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { findRow } from "./generations.ts";
import { imageOf, rfc3339 } from "./view.ts";

/** A keyword prompt has about as many parts (SURD's median is seven). */
const READ = 8;

/** Keeps what a person said of a picture. @throws {Refusal} not_found, not_drawn */
export async function giveFeedback(deps: Deps, accountId: string, id: string, given: GiveFeedback): Promise<Feedback> {
  const generation = await findRow(deps, accountId, id);
  if (generation.status !== "succeeded")
    throw new Refusal("not_drawn", `The generation is ${generation.status}; only a picture can be judged.`);
  const row: FeedbackRow = {
    generationId: id,
    accountId,
    user: given.user ?? generation.user,
    verdict: given.verdict,
    narrative: given.narrative ?? generation.prompt,
    changedInto: given.changed_into ?? keywords(generation.reading),
    createdAt: deps.now(),
  };
  await deps.feedback.put(row);
  const images = await deps.images.of([id]);
  return view(deps, { ...row, model: generation.model }, images.get(id));
}

/** Newest generation first. */
export async function listFeedback(
  deps: Deps,
  accountId: string,
  { limit, cursor, verdict, user }: z.infer<typeof FeedbackQuery>,
): Promise<FeedbackList> {
  const before = cursor === undefined ? undefined : readCursor("gen", cursor);
  const rows = await deps.feedback.list({ accountId, limit: limit + 1, before, verdict, user });
  const page = rows.slice(0, limit);
  const images = await deps.images.of(page.map(({ generationId }) => generationId));
  return {
    data: page.map((row) => view(deps, row, images.get(row.generationId))),
    next_cursor: rows.length > limit ? writeCursor(page.at(-1)?.generationId ?? "") : null,
  };
}

/** Takes it back. @throws {Refusal} not_found */
export async function takeBackFeedback(deps: Deps, accountId: string, id: string): Promise<void> {
  if (!(await deps.feedback.remove(accountId, id)))
    throw new Refusal("not_found", "Nothing is kept of what was said of this generation.");
}

/** What the model read, as a keyword prompt; null where it read nothing. */
function keywords(reading: Reading | null): string | null {
  return (
    (reading ?? [])
      .slice(0, READ)
      .map(({ tag }) => tag)
      .join(", ") || null
  );
}

function view(deps: Deps, row: FeedbackRow & { model: string }, images: ImageRow[] = []): Feedback {
  const [first] = images;
  return {
    generation: row.generationId,
    object: "feedback",
    verdict: row.verdict,
    narrative: row.narrative,
    changed_into: row.changedInto,
    image: first ? imageOf(first, deps.config.PUBLIC_URL) : null,
    model: row.model,
    user: row.user,
    created_at: rfc3339(row.createdAt),
  };
}
