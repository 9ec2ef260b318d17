import { z } from "./zod.ts";

export const AccountLimits = z
  .strictObject({
    concurrent: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .openapi({ description: "Generations queued or running at once." }),
    images_per_day: z.int().min(1).max(100_000_000).optional(),
    concurrent_per_user: z.int().min(1).max(10_000).optional().openapi({ description: "For each value of `user`." }),
    images_per_day_per_user: z.int().min(1).max(10_000_000).optional(),
  })
  .openapi("AccountLimits", { description: "A limit left out does not apply. Days are UTC's." });
export type AccountLimits = z.infer<typeof AccountLimits>;

const days = z.int().min(1).max(3_650).nullable().default(null);

export const Retention = z
  .strictObject({
    images_days: days.openapi({ description: "After how many days pictures are removed." }),
    generations_days: days.openapi({ description: "After how many days generations go, with prompts and pictures." }),
  })
  .openapi("Retention", {
    description:
      "Days since a generation was made; null: as the operator set it for everybody, or for ever. Usage stays.",
  });
export type Retention = z.infer<typeof Retention>;

/** What an account may set for itself; the others are its operator's. */
export const OWN_LIMITS = ["concurrent_per_user", "images_per_day_per_user"] as const;

export const Account = z
  .object({
    id: z.string(),
    object: z.literal("account"),
    operator: z.boolean(),
    created_at: z.string(),
    limits: AccountLimits,
    retention: Retention,
    erased_at: z.string().nullable().openapi({ description: "When it was erased; its usage stays." }),
    erasing: z.boolean().openapi({ description: "Whether something of it is still being removed." }),
  })
  .openapi("Account", {
    example: {
      id: "acme",
      object: "account",
      operator: false,
      created_at: "2026-11-24T12:00:00.000Z",
      limits: { concurrent: 20, images_per_day: 5000, images_per_day_per_user: 50 },
      retention: { images_days: 30, generations_days: 365 },
      erased_at: null,
      erasing: false,
    },
  });
export type Account = z.infer<typeof Account>;

export const UpdateAccount = z
  .strictObject({
    account: z.string().min(1).max(64).optional().openapi({ description: "Operators only: another account." }),
    limits: AccountLimits.optional().openapi({ description: "Replaced as a whole." }),
    retention: Retention.optional().openapi({ description: "Replaced as a whole." }),
  })
  .openapi("UpdateAccount", {
    example: { limits: { concurrent: 20, images_per_day: 5000, images_per_day_per_user: 50 } },
  });
export type UpdateAccount = z.infer<typeof UpdateAccount>;
export type UpdateAccountInput = z.input<typeof UpdateAccount>;
