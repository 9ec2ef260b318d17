import { atMost } from "./text.ts";
import { z } from "./zod.ts";

export const Quota = z
  .object({
    policy: z.string().openapi({ description: "As in the `RateLimit` headers.", example: "images-per-day" }),
    limit: z.int(),
    remaining: z.int(),
    resets_at: z
      .string()
      .nullable()
      .openapi({ description: "When all of it is there again; null: as places get free." }),
  })
  .openapi("Quota");
export type Quota = z.infer<typeof Quota>;

export const UsageDay = z
  .object({
    date: z.string().openapi({ description: "A UTC day.", example: "2026-11-24" }),
    generations: z.int().openapi({ description: "That succeeded." }),
    images: z.int().openapi({ description: "Drawn for them." }),
    cached: z.int().openapi({ description: "Generations whose pictures had been drawn before." }),
  })
  .openapi("UsageDay");
export type UsageDay = z.infer<typeof UsageDay>;

export const Usage = z.object({ data: z.array(UsageDay), quotas: z.array(Quota) }).openapi("Usage", {
  description: "Days without use are left out; newest first.",
  example: {
    data: [{ date: "2026-11-24", generations: 12, images: 14, cached: 3 }],
    quotas: [{ policy: "images-per-day", limit: 500, remaining: 486, resets_at: "2026-11-25T00:00:00.000Z" }],
  },
});
export type Usage = z.infer<typeof Usage>;

export const UsageQuery = z.strictObject({
  days: z.coerce
    .number()
    .int()
    .min(1)
    .max(366)
    .default(30)
    .openapi({ type: "integer", description: "Today included." }),
  user: atMost(200, z.string().min(1)).optional().openapi({ description: "Show this end user's quotas too." }),
  group: atMost(200, z.string().min(1)).optional().openapi({ description: "Show this group's quotas too." }),
});
export type UsageInput = z.input<typeof UsageQuery>;
