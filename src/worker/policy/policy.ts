import type { Moderation, SetPolicy } from "../../contract/policy.ts";
import { charactersOf } from "../../contract/terms.ts";
import type { SigningSecret } from "../webhooks/sign.ts";
import { compile, type Matcher } from "./matcher.ts";
import { leastTokens } from "./tokens.ts";

/** A policy made ready to be held against prompts. */
export interface CompiledPolicy {
  maxChars: number | null;
  maxTokens: number | null;
  rules: { id: string; message: string | null; fields: readonly PromptField[]; matches: Matcher }[];
  moderation: (Moderation & SigningSecret) | null;
}

type PromptField = "prompt" | "negative_prompt";
export type Prompts = Record<PromptField, string | null>;

/** Why a prompt is not taken: the rule's name and never the word that it found. */
export interface Violation {
  rule: string;
  field: PromptField;
  detail: string;
}

/** @param signing signs what the moderation hook is asked */
export function compilePolicy(policy: SetPolicy, signing: SigningSecret): CompiledPolicy {
  const { secret, previousSecret, previousUntil } = signing;
  return {
    maxChars: policy.max_prompt_chars ?? null,
    maxTokens: policy.max_prompt_tokens ?? null,
    rules: policy.rules.map(({ id, terms, applies_to, message }) => ({
      id,
      message: message ?? null,
      fields: applies_to,
      matches: compile(terms),
    })),
    moderation: policy.moderation && { ...policy.moderation, secret, previousSecret, previousUntil },
  };
}

/** The first thing that a policy has against these prompts. */
export function violationOf({ maxChars, maxTokens, rules }: CompiledPolicy, prompts: Prompts): Violation | null {
  for (const field of ["prompt", "negative_prompt"] as const) {
    const text = prompts[field];
    if (text === null || text === "") continue;
    const characters = charactersOf(text);
    if (maxChars !== null && characters > maxChars)
      return {
        rule: "max_prompt_chars",
        field,
        detail: `${characters} characters are too many here; shorten it to ${maxChars}.`,
      };
    if (maxTokens !== null && leastTokens(text) > maxTokens)
      return { rule: "max_prompt_tokens", field, detail: `It has more than ${maxTokens} tokens; shorten it.` };
    const broken = rules.find(({ fields, matches }) => fields.includes(field) && matches(text));
    if (broken) return { rule: broken.id, field, detail: broken.message ?? "Ask for something else." };
  }
  return null;
}
