import { describe, it } from "vitest";
import { CreateGeneration, SetPolicy } from "../../src/contract/index.ts";
import { compile, skeleton } from "../../src/worker/policy/matcher.ts";
import { compilePolicy, violationOf } from "../../src/worker/policy/policy.ts";

const refusalOf = (prompt: string) => CreateGeneration.safeParse({ prompt }).error?.issues[0]?.message;

describe("a prompt's characters", () => {
  it("are taken in normal form C, so that the same letters are the same prompt", ({ expect }) => {
    const composed = "caf\u00e9 on the beach";
    const decomposed = "cafe\u0301 on the beach";
    expect(CreateGeneration.parse({ prompt: decomposed }).prompt).toBe(composed);
    expect(CreateGeneration.parse({ prompt: "x", negative_prompt: decomposed }).negative_prompt).toBe(composed);
    // What other forms would change stays: a ligature or a full-width letter is what somebody typed.
    expect(CreateGeneration.parse({ prompt: "ﬁ Ａ" }).prompt).toBe("ﬁ Ａ");
  });

  it("of any living script pass, with what they need", ({ expect }) => {
    for (const prompt of [
      "two purple cats\nasleep\ton the beach",
      "\u200fשני חתולים\u200f על החוף",
      "\u061cقطتان نائمتان\u200e",
      "नमस्ते क्\u200dष दुनिया",
      "می\u200cخواهم",
      "👩\u200d👩\u200d👧\u200d👦 on the beach 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
      "ช้างสีม่วงสองตัว",
      "浜辺で眠る二匹の紫の猫",
    ])
      expect(refusalOf(prompt), prompt).toBeUndefined();
  });

  it("that control, reorder or hide text are refused by their number", ({ expect }) => {
    for (const [prompt, words] of [
      ["a\u0000cat", "Control characters"],
      ["a\u009bcat", "Control characters"],
      ["a \u202etac\u202c", "U+202E reorders the text around it; remove it."],
      ["a \u2067cat\u2069", "U+2067 reorders"],
      ["a cat\u{e0061}\u{e0062}", "U+E0061 is an invisible tag"],
      ["a cat\u{e0001}", "U+E0001 is an invisible tag"],
      ["a cat \ufdd0", "U+FDD0 is no character"],
      ["a cat \u{1ffff}", "U+1FFFF is no character"],
      ["a \ufff9cat", "U+FFF9 is no character"],
      ["a \ud800 cat", "Half of a surrogate pair"],
    ] as const)
      expect(refusalOf(prompt), JSON.stringify(prompt)).toContain(words);
  });

  it("elsewhere may be what a customer's own ids hold", ({ expect }) => {
    const metadata = { note: "a \u2067name\u2069", decomposed: "e\u0301" };
    expect(CreateGeneration.parse({ prompt: "a cat", metadata }).metadata).toEqual(metadata);
  });
});

describe("terms", () => {
  const found = (terms: string[], text: string) => compile(terms)(text);

  it("match whole words and phrases, whatever stands between their words", ({ expect }) => {
    expect(found(["gun"], "a gun.")).toBe(true);
    expect(found(["gun"], "a gunner has begun")).toBe(false);
    expect(found(["hand grenade"], "a HAND-grenade, perhaps")).toBe(true);
    expect(found(["hand grenade"], "a hand holds a grenade")).toBe(false);
    expect(found(["hand grenade"], "hand")).toBe(false);
  });

  it("take every ending behind a star", ({ expect }) => {
    for (const text of ["rifle", "two rifles", "rifleman"]) expect(found(["rifle*"], text), text).toBe(true);
    expect(found(["rifle*"], "trifle")).toBe(false);
    expect(found(["hand gren*"], "hand grenades")).toBe(true);
    expect(found(["hand gren*"], "handgrenades")).toBe(false);
  });

  it("are found under case, accents, width, styles and invisible characters", ({ expect }) => {
    for (const text of ["GUN", "ｇｕｎ", "𝓰𝓾𝓷", "g\u200bun", "gu\u00adn", "gün", "g\u0301un"])
      expect(found(["gun"], text), text).toBe(true);
    expect(found(["Gün"], "gun")).toBe(true);
    // Vowel signs of other scripts are letters, not decoration.
    expect(skeleton("कि")).not.toBe(skeleton("क"));
  });

  it("in scripts without spaces match anywhere", ({ expect }) => {
    expect(found(["拳銃"], "彼は拳銃を持つ")).toBe(true);
    expect(found(["拳銃"], "拳 銃")).toBe(true);
    expect(found(["ปืน"], "เด็กถือปืนของเล่น")).toBe(true);
  });

  it("of signs alone match nothing", ({ expect }) => {
    expect(found(["!!", "*"], "!! * anything")).toBe(false);
  });

  it("take time by the text's length, not by how long the list is", ({ expect }) => {
    const terms = Array.from({ length: 5_000 }, (_, i) => `word${i} with more*`);
    const text = "word1 with ".repeat(720);
    expect(found(terms, text)).toBe(false);
    expect(found(terms, `${text} word4999 with moreover`)).toBe(true);
  });
});

describe("a policy", () => {
  const signing = { secret: "whsec_", previousSecret: null, previousUntil: null };
  const violation = (policy: object, prompt: string, negative: string | null = null) =>
    violationOf(compilePolicy(SetPolicy.parse(policy), signing), { prompt, negative_prompt: negative });

  it("names the rule and its own sentence, never the word", ({ expect }) => {
    const rules = [{ id: "no-weapons", terms: ["gun"], message: "Vignette draws no weapons." }];
    const broken = violation({ rules }, "a purple gun");
    expect(broken).toEqual({ rule: "no-weapons", field: "prompt", detail: "Vignette draws no weapons." });
    expect(JSON.stringify(violation({ rules: [{ id: "one", terms: ["gun"] }] }, "a gun"))).not.toContain("gun");
  });

  it("looks at negative prompts where it says so only", ({ expect }) => {
    const rule = { id: "one", terms: ["gun"] };
    expect(violation({ rules: [rule] }, "a cat", "gun")).toBeNull();
    const both = { ...rule, applies_to: ["negative_prompt"] };
    expect(violation({ rules: [both] }, "a cat", "gun")).toMatchObject({ field: "negative_prompt" });
  });

  it("bounds characters and tokens", ({ expect }) => {
    expect(violation({ max_prompt_chars: 5 }, "a cat")).toBeNull();
    expect(violation({ max_prompt_chars: 5 }, "a cats")?.rule).toBe("max_prompt_chars");
    expect(violation({ max_prompt_tokens: 2 }, "a cat")).toBeNull();
    expect(violation({ max_prompt_tokens: 2 }, "a cat!")?.rule).toBe("max_prompt_tokens");
  });

  it("has bounds of its own", ({ expect }) => {
    const many = { id: "a", terms: Array.from({ length: 3_000 }, (_, i) => `w${i}`) };
    for (const rules of [
      [many, { ...many, id: "b" }],
      [many, many],
      [{ id: "Not an id", terms: ["x"] }],
      [{ id: "a", terms: [] }],
    ])
      expect(SetPolicy.safeParse({ rules }).success).toBe(false);
  });
});
