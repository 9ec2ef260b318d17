import { Reading } from "../../contract/generation.ts";
import { z } from "../../contract/zod.ts";

const Metrics = z.object({
  predict_time: z.number().nonnegative().nullish().catch(null),
  reading: Reading.nullish().catch(null),
  notice: z.string().max(1000).nullish().catch(null),
  flagged: z.array(z.boolean()).nullish().catch(null),
});

/**
 * A prediction as Replicate's HTTP API and its webhooks show it (replicate.com/docs/reference/http#predictions.get),
 * read leniently: runners may say more. Replicate's cloud also ends predictions as `aborted`, which is a cancel.
 */
export const Prediction = z.object({
  id: z.string(),
  status: z
    .enum(["starting", "processing", "succeeded", "failed", "canceled", "aborted"])
    .transform((status) => (status === "aborted" ? "canceled" : status)),
  output: z.unknown().optional(),
  error: z.unknown().optional(),
  /** Our runner's addition: a stable word for what `error` says. */
  error_code: z
    .string()
    .regex(/^[a-z][a-z_]{0,49}$/)
    .nullish()
    .catch(null),
  completed_at: z.string().nullish().catch(null),
  logs: z
    .string()
    .nullish()
    .transform((logs) => logs ?? ""),
  metrics: Metrics.nullish().transform((metrics) => metrics ?? {}),
});
export type Prediction = z.infer<typeof Prediction>;

/** Whether it has left its runner. */
export function isOver({ status }: Prediction): boolean {
  return status !== "starting" && status !== "processing";
}

const TECHNICAL = /\n|traceback/i;

/** The runner's sentence for a failed prediction; a stack trace is not one. */
export function errorSentence(error: unknown): string {
  if (typeof error !== "string" || error.trim() === "" || TECHNICAL.test(error.trim()))
    return "The runner could not draw this picture.";
  return error.trim().slice(0, 500);
}
