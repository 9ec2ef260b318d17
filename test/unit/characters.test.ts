import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { CreateGeneration, ListQuery, SetPolicy, UpdateProfile, UsageQuery } from "../../src/contract/index.ts";
import { BOUNDS, charactersOf } from "../../src/contract/terms.ts";
import { compilePolicy, violationOf } from "../../src/worker/policy/policy.ts";
import { resolve } from "../../src/worker/services/resolve.ts";
import { MODELS } from "../bots/sample.ts";

/** One character in two UTF-16 units, four bytes of UTF-8. */
const OWL = "\u{1f989}";
const owls = (count: number) => OWL.repeat(count);

describe("a length in characters", () => {
  it("counts code points", ({ expect }) => {
    expect([charactersOf(""), charactersOf("owl"), charactersOf(owls(3)), charactersOf("\ud83e")]).toEqual([
      0, 3, 3, 1,
    ]);
  });

  it("holds for prompts, users and all that the description bounds", ({ expect }) => {
    const takes = (request: object) => CreateGeneration.safeParse({ prompt: "an owl", ...request }).success;
    for (const field of ["prompt", "negative_prompt"]) {
      expect(takes({ [field]: owls(BOUNDS.promptChars) })).toBe(true);
      expect(takes({ [field]: owls(BOUNDS.promptChars + 1) })).toBe(false);
    }
    expect([takes({ user: owls(200) }), takes({ user: owls(201) })]).toEqual([true, false]);
    expect([takes({ metadata: { [owls(64)]: "x" } }), takes({ metadata: { [owls(65)]: "x" } })]).toEqual([true, false]);
    // Who may be named in a request can be asked for, too.
    expect(ListQuery.safeParse({ user: owls(200) }).success).toBe(true);
    expect(UsageQuery.safeParse({ user: owls(200), group: owls(200) }).success).toBe(true);
    expect(UpdateProfile.safeParse({ preferences: { avoid: owls(512) } }).success).toBe(true);
    expect(SetPolicy.safeParse({ rules: [{ id: "owls", terms: [owls(100)] }] }).success).toBe(true);
  });

  it("is what the description says", ({ expect }) => {
    const { components } = JSON.parse(readFileSync("docs/openapi.json", "utf8"));
    const { prompt, user } = components.schemas.CreateGeneration.properties;
    expect([prompt.maxLength, user.maxLength, user.minLength]).toEqual([BOUNDS.promptChars, 200, 1]);
  });

  it("holds for a model's own limit, which the refusal names", ({ expect }) => {
    const [model] = MODELS;
    if (!model) throw new Error("there is no model");
    const models = [{ ...model, limits: { ...model.limits, max_prompt_chars: 20, max_prompt_tokens: null } }];
    const ask = (prompt: string) => resolve(CreateGeneration.parse({ prompt }), models, 1);
    expect(ask(owls(20)).model).toBe(model.id);
    expect(() => ask(owls(21))).toThrow("21 characters are too many for this model; shorten it to 20.");
  });

  it("holds for a policy", ({ expect }) => {
    const signing = { secret: "", previousSecret: null, previousUntil: null };
    const policy = compilePolicy(SetPolicy.parse({ max_prompt_chars: 5 }), signing);
    expect(violationOf(policy, { prompt: owls(5), negative_prompt: null })).toBeNull();
    expect(violationOf(policy, { prompt: owls(6), negative_prompt: null })?.detail).toContain("6 characters");
  });
});

describe("metadata", () => {
  const takes = (metadata: object) => CreateGeneration.safeParse({ prompt: "an owl", metadata }).success;
  const entries = (count: number, value: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, value]));

  it("is bounded in bytes too, so that a webhook message stays short", ({ expect }) => {
    // Sixteen of the longest plain values are no trouble.
    expect(
      takes(Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`${"k".repeat(62)}${n}`, "x".repeat(512)]))),
    ).toBe(true);
    expect(takes(entries(7, owls(512)))).toBe(true);
    expect(takes(entries(8, owls(512)))).toBe(false);
  });
});
