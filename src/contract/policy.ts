import { z } from "./zod.ts";

/** Stands for every account; operators alone may use it. */
export const EVERYBODY = "*";

const TERMS = 5_000;
const PromptField = z.enum(["prompt", "negative_prompt"]);

export const Rule = z
  .strictObject({
    id: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "A rule is called 1 to 64 of a-z, 0-9, - and _.")
      .openapi({ description: "What a refusal names.", example: "no-weapons" }),
    terms: z
      .array(z.string().trim().min(1).max(100))
      .min(1)
      .max(TERMS)
      .openapi({
        description:
          "Words and phrases. Case, accents of Latin letters and invisible characters make no difference; a `*` at the " +
          "end takes every ending. Whole words match, in scripts without spaces every occurrence does.",
        example: ["rifle*", "hand grenade"],
      }),
    applies_to: z
      .array(PromptField)
      .min(1)
      .default(["prompt"])
      .openapi({ description: "A negative prompt may well name what must not be shown." }),
    message: z.string().trim().min(1).max(300).optional().openapi({ description: "Told to whoever is refused." }),
  })
  .openapi("Rule");
export type Rule = z.infer<typeof Rule>;

export const Moderation = z
  .strictObject({
    url: z.string().min(1).max(2000).openapi({ example: "https://moderation.example.com/vignette" }),
    on_failure: z
      .enum(["open", "closed"])
      .openapi({ description: "Without an answer in time: `open` draws, `closed` refuses with 503." }),
    timeout_ms: z.int().min(100).max(10_000).default(3_000),
  })
  .openapi("Moderation", {
    description:
      "Is asked about every prompt by POST, signed as Standard Webhooks say, and answers `{allowed, rule?, message?}`.",
  });
export type Moderation = z.infer<typeof Moderation>;

export const SetPolicy = z
  .strictObject({
    max_prompt_chars: z.int().min(1).max(8000).optional(),
    max_prompt_tokens: z.int().min(1).max(8000).optional().openapi({
      description:
        "Counted as CLIP's tokenizer splits text, every word as one: a prompt that is refused has more for certain.",
    }),
    rules: z
      .array(Rule)
      .max(100)
      .default([])
      .refine((rules) => new Set(rules.map(({ id }) => id)).size === rules.length, "Use each rule's id once.")
      .refine(
        (rules) => rules.reduce((sum, { terms }) => sum + terms.length, 0) <= TERMS,
        `At most ${TERMS} terms in all.`,
      ),
    moderation: Moderation.nullable().default(null),
  })
  .openapi("SetPolicy");
export type SetPolicy = z.infer<typeof SetPolicy>;
export type SetPolicyInput = z.input<typeof SetPolicy>;

export const Policy = z
  .object({
    object: z.literal("policy"),
    account: z.string(),
    max_prompt_chars: z.int().nullable(),
    max_prompt_tokens: z.int().nullable(),
    rules: z.array(Rule),
    moderation: Moderation.nullable(),
    secret: z
      .string()
      .nullable()
      .openapi({ description: "Verifies what the moderation hook is asked; null without one." }),
    updated_at: z.string().nullable().openapi({ description: "Null: there is none, every prompt is taken." }),
  })
  .openapi("Policy");
export type Policy = z.infer<typeof Policy>;

/** What the moderation hook is sent. */
export const ModerationRequest = z
  .object({
    type: z.literal("prompt.moderation"),
    timestamp: z.string(),
    data: z.object({
      account: z.string(),
      user: z.string().nullable(),
      model: z.string(),
      prompt: z.string(),
      negative_prompt: z.string().nullable(),
    }),
  })
  .openapi("ModerationRequest");
export type ModerationRequest = z.infer<typeof ModerationRequest>;

/** What the moderation hook answers. */
export const ModerationVerdict = z
  .object({
    allowed: z.boolean(),
    rule: z
      .string()
      .regex(/^[\w.:/-]{1,64}$/)
      .optional(),
    message: z.string().max(300).optional(),
  })
  .openapi("ModerationVerdict");
export type ModerationVerdict = z.infer<typeof ModerationVerdict>;
