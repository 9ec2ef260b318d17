import { readdir, readFile } from "node:fs/promises";
import { describe, it } from "vitest";
import { measuresOf, studyOf } from "../../src/web/words/study.ts";
import { waysOf } from "../../src/web/words/ways.ts";
import { VARIANTS } from "../fakes/study.ts";

const table = (data: Record<string, unknown>) => ({ name: "variants", data });

describe("the study of variants", () => {
  it("has its ways best first, without its sweeps", ({ expect }) => {
    const study = waysOf(table(VARIANTS));
    expect(study?.ways.map(({ variant }) => variant)).toEqual([
      "base/keyword",
      "adapter/no-LLM",
      "published-recipe/narrative",
      "base/narrative",
      "LLM-rewriting/narrative",
    ]);
    const adapter = study?.ways[1];
    expect(adapter?.values).toEqual({ object: 0.7, colour: 0.6, mean: 0.7 });
    expect(adapter?.kid).toBe(0.3);
    expect(adapter?.gain).toEqual([0.1, 0.3]);
    expect(adapter?.closed).toContain("50 %");
    expect(adapter?.intervals.colour).toEqual([0.5, 0.7]);
    expect(study?.about).toContain("400 triples · 100 steps of training · teacher smollm2");
  });

  it("sweeps from the sentence alone over the trained scale, and to all triples", ({ expect }) => {
    const study = waysOf(table(VARIANTS));
    expect(study?.scale.map(({ at, mean }) => [at, mean])).toEqual([
      [0, 0.5],
      [0.5, 0.6],
      [1, 0.7],
      [1.5, 0.65],
    ]);
    expect(study?.triples.map(({ at, mean }) => [at, mean])).toEqual([
      [40, 0.55],
      [400, 0.7],
    ]);
  });

  it("says who is ahead of whom only where the interval is clear of zero", ({ expect }) => {
    expect(waysOf(table(VARIANTS))?.ahead).toEqual([
      "adapter/no-LLM is ahead of LLM-rewriting/narrative: +15.0 to +35.0 points",
      "adapter/no-LLM is not told apart from published-recipe/narrative: −1.0 to +30.0 points",
    ]);
    const behind = { ...VARIANTS["adapter/no-LLM"], over: { "published-recipe/narrative": [-0.2, -0.1] } };
    expect(waysOf(table({ ...VARIANTS, "adapter/no-LLM": behind }))?.ahead).toEqual([
      "adapter/no-LLM is behind published-recipe/narrative: −20.0 to −10.0 points",
    ]);
  });

  it("is not taken for a comparison, nor the other way round", ({ expect }) => {
    expect(studyOf(table(VARIANTS))).toBeNull();
    expect(waysOf(table({ "base/narrative": { mean: 0.5 }, "adapter/narrative": { mean: 0.6 } }))).toBeNull();
  });

  it("does without what an older run did not write", ({ expect }) => {
    const bare = { "base/narrative": { mean: 0.5 }, "base/keyword": { mean: 0.9 }, "adapter/no-LLM": { mean: 0.7 } };
    const study = waysOf(table(bare));
    expect(study).toMatchObject({ ahead: [], triples: [], failures: [], about: "" });
    expect(study?.ways[1]).toMatchObject({ kid: null, gain: null, closed: null, interval: null, intervals: {} });
  });
});

describe("the heading of a table", () => {
  it("is its name, with the style apart that the name ends in", ({ expect }) => {
    const rows = { "adapter/narrative": { mean: 0.6 } };
    const heading = (name: string, style?: string) => studyOf({ name, data: { style, ...rows } })?.name;
    expect(heading("rare-words", "day")).toBe("Rare words");
    expect(heading("rare-words-ink", "ink")).toBe("Rare words, ink");
    expect(heading("other-hands")).toBe("Other hands");
    expect(waysOf({ name: "variants-longer-ink", data: { ...VARIANTS, style: "ink" } })?.name).toBe(
      "Variants longer, ink",
    );
  });
});

describe("what stands in docs/study", () => {
  it("is shown, every table of it", async ({ expect }) => {
    const folder = new URL("../../docs/study/", import.meta.url);
    for (const file of (await readdir(folder)).filter((name) => name.endsWith(".json"))) {
      const found = { name: file, data: JSON.parse(await readFile(new URL(file, folder), "utf8")) };
      expect([file, studyOf(found) ?? waysOf(found) ?? measuresOf(found)]).not.toContain(null);
    }
  });
});
