import { GENERATION_EXAMPLE, SECRET_EXAMPLE } from "./examples.ts";
import { atMost } from "./text.ts";
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
      .array(atMost(100, z.string().trim().min(1)))
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
    message: atMost(300, z.string().trim().min(1)).optional().openapi({ description: "Told to whoever is refused." }),
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

const POLICY_EXAMPLE = {
  max_prompt_chars: 500,
  max_prompt_tokens: 150,
  rules: [{ id: "no-weapons", terms: ["gun", "rifle*"], applies_to: ["prompt"], message: "We draw no weapons." }],
  moderation: { url: "https://moderation.example.com/vignette", on_failure: "closed", timeout_ms: 3000 },
};

export const SetPolicy = z
  .strictObject({
    max_prompt_chars: z.int().min(1).max(8000).optional(),
    max_prompt_tokens: z
      .int()
      .min(1)
      .max(8000)
      .optional()
      .openapi({
        description:
          "Counted as CLIP's tokenizer splits text, every word as one, in scripts without spaces every letter: a prompt that " +
          "is refused has more for certain.",
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
  .openapi("SetPolicy", { example: POLICY_EXAMPLE });
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
    previous_secret_until: z
      .string()
      .nullable()
      .openapi({ description: "Until when the secret before the last rotation signs too; null when it does not." }),
    updated_at: z.string().nullable().openapi({ description: "Null: there is none, every prompt is taken." }),
  })
  .openapi("Policy", {
    example: {
      object: "policy",
      account: "acme",
      ...POLICY_EXAMPLE,
      secret: SECRET_EXAMPLE,
      previous_secret_until: null,
      updated_at: "2026-11-24T12:00:00.000Z",
    },
  });
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
  .openapi("ModerationRequest", {
    example: {
      type: "prompt.moderation",
      timestamp: "2026-11-24T12:00:00.000Z",
      data: {
        account: "acme",
        user: "ada",
        model: GENERATION_EXAMPLE.model,
        prompt: GENERATION_EXAMPLE.prompt,
        negative_prompt: null,
      },
    },
  });
export type ModerationRequest = z.infer<typeof ModerationRequest>;

/** What the moderation hook answers. */
export const ModerationVerdict = z
  .object({
    allowed: z.boolean(),
    rule: z
      .string()
      .regex(/^[\w.:/-]{1,64}$/)
      .optional(),
    message: atMost(300).optional(),
  })
  .openapi("ModerationVerdict", { example: { allowed: false, rule: "S4", message: "Ask for something else." } });
export type ModerationVerdict = z.infer<typeof ModerationVerdict>;
