const round = (share: number) => Math.round(share * 100) / 100;
const row = (mean: number, more: object = {}) => ({
  object: mean,
  colour: round(mean - 0.1),
  mean,
  interval: [round(mean - 0.05), round(mean + 0.05)],
  intervals: { object: [round(mean - 0.1), 1], colour: [round(mean - 0.2), mean] },
  ...more,
});
const closed = { estimate: 0.5, in_words: "50 % (95 % confidence set 20 % to 80 %)" };

/** As `vignette miniature variants` writes it, with two attributes of five. */
export const VARIANTS = {
  date: "2026-11-25",
  machine: "x86_64",
  scenes: 400,
  steps: 100,
  prompts: 60,
  teacher: "smollm2",
  style: "day",
  minutes: 3,
  "base/keyword": row(0.9, { kid: 0.2 }),
  "base/narrative": row(0.5, { kid: 0.6, kid_over_keyword: [0.3, 0.5] }),
  "LLM-rewriting/narrative": row(0.45, { kid: 0.7, gain: { mean: [-0.12, 0.02] }, closed, over: {} }),
  "adapter/no-LLM": row(0.7, {
    kid: 0.3,
    gain: { mean: [0.1, 0.3] },
    closed,
    over: { "LLM-rewriting/narrative": [0.15, 0.35], "published-recipe/narrative": [-0.01, 0.3] },
  }),
  "published-recipe/narrative": row(0.55, { kid: 0.6, gain: { mean: [0, 0.1] }, closed, over: {} }),
  "scale/0.5": row(0.6, { kid: 0.4 }),
  "scale/1.5": row(0.65, { kid: 0.4 }),
  "triples/40": row(0.55, { kid: 0.4 }),
  failures: ["Two cats, she said, and no dog.", "Was the house not blue?"],
};
