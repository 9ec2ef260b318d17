import { GENERATION_EXAMPLE } from "./examples.ts";
import { BOUNDS, Image, PageQuery } from "./generation.ts";
import { atMost, wellFormed } from "./text.ts";
import { z } from "./zod.ts";

export const Verdict = z.enum(["meant", "not_meant"]).openapi("Verdict");
export type Verdict = z.infer<typeof Verdict>;

export const GiveFeedback = z
  .strictObject({
    verdict: Verdict,
    consent: z.literal(true, "Only what the person agreed to have kept is taken: send true once they have.").openapi({
      description: "That the person agreed: the sentence, what it became and the picture may be used to teach models.",
    }),
    narrative: wellFormed(BOUNDS.promptChars)
      .min(1)
      .optional()
      .openapi({ description: "What the person first said; absent: the prompt." }),
    changed_into: wellFormed(BOUNDS.promptChars).min(1).optional().openapi({
      description: "What it was changed into for this picture; absent: what the model read in the prompt.",
    }),
    user: wellFormed(200)
      .min(1)
      .optional()
      .openapi({ description: "Whose word it is; absent: the generation's user." }),
  })
  .openapi("GiveFeedback", { example: { verdict: "meant", consent: true } });
export type GiveFeedback = z.infer<typeof GiveFeedback>;

const FEEDBACK_EXAMPLE = {
  generation: GENERATION_EXAMPLE.id,
  object: "feedback",
  verdict: "meant",
  narrative: GENERATION_EXAMPLE.prompt,
  changed_into: "purple, cat",
  image: GENERATION_EXAMPLE.images[0],
  model: GENERATION_EXAMPLE.model,
  user: null,
  created_at: "2026-11-24T12:01:00.000Z",
};

export const Feedback = z
  .object({
    generation: z.string(),
    object: z.literal("feedback"),
    verdict: Verdict,
    narrative: z.string(),
    changed_into: z.string().nullable(),
    image: Image.nullable(),
    model: z.string(),
    user: z.string().nullable(),
    created_at: z.string(),
  })
  .openapi("Feedback", { description: "Deleted with its generation.", example: FEEDBACK_EXAMPLE });
export type Feedback = z.infer<typeof Feedback>;

export const FeedbackList = z
  .object({ data: z.array(Feedback), next_cursor: z.string().nullable() })
  .openapi("FeedbackList", { example: { data: [FEEDBACK_EXAMPLE], next_cursor: null } });
export type FeedbackList = z.infer<typeof FeedbackList>;

export const FeedbackQuery = PageQuery.extend({
  verdict: Verdict.optional(),
  user: atMost(200, z.string().min(1)).optional(),
});
export type FeedbackInput = z.input<typeof FeedbackQuery>;
