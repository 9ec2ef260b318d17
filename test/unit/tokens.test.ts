import { describe, it } from "vitest";
import { leastTokens } from "../../src/worker/policy/tokens.ts";

describe("tokens", () => {
  it("are counted as the least that CLIP's tokenizer can make", ({ expect }) => {
    for (const [text, count] of [
      ["", 0],
      ["  \n", 0],
      ["two purple cats", 3],
      ["they're 42 cats!!", 6],
      ["(word:1.3), \\(a\\) [b]", 4],
      ["<|endoftext|> <|startoftext|>", 2],
    ] as const)
      expect(leastTokens(text), text).toBe(count);
  });

  it("of letters with accents apart are those of the letters in one, as the tokenizer makes them first", ({
    expect,
  }) => {
    expect(leastTokens("nai\u0308ve cafe\u0301")).toBe(2);
  });

  it("of scripts without spaces are one a letter at least, and never more than CLIP's own vocabulary makes", ({
    expect,
  }) => {
    // The last column: what openai/CLIP's bpe_simple_vocab_16e6 makes of it.
    for (const [text, least, clips] of [
      ["我奶奶的两只猫在海滩上睡着的那个夜晚", 18, 45],
      ["日本語", 3, 4],
      ["人々", 2, 4],
      ["浜辺で眠る二匹の紫の猫", 11, 25],
      ["ライオンとペンギンがロケットに乗っている", 20, 28],
      ["แมวสีม่วงสองตัวนอนหลับอยู่บนชายหาด", 32, 34],
      ["ແມວສີມ່ວງສອງໂຕນອນຢູ່ຫາດຊາຍ", 25, 78],
      ["ឆ្មាពណ៌ស្វាយពីរក្បាល", 20, 60],
      ["ကမ်းခြေမှာအိပ်နေတဲ့ကြောင်", 19, 50],
      // Its only two tokens that hold several letters of these scripts.
      ["องของสอง", 5, 7],
      ["#写真好きな人と繋がりたい", 8, 9],
    ] as const) {
      expect(leastTokens(text), text).toBe(least);
      expect(least).toBeLessThanOrEqual(clips);
    }
  });

  it("of words beside such letters are counted apart", ({ expect }) => {
    expect(leastTokens("two 猫 cats")).toBe(3);
    expect(leastTokens("cat猫cat")).toBe(3);
    expect(leastTokens("보라색 고양이")).toBe(2);
  });
});
