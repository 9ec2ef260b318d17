import { describe, it } from "vitest";
import { Misconfigured, readConfig } from "../../src/worker/config.ts";
import { CallWindow, circuitOf } from "../../src/worker/runner/breaker.ts";
import { inputsOf } from "../../src/worker/runner/inputs.ts";
import { RUNNERS } from "../fakes/runners.ts";

const OWN = {
  RUNNER_URL: "http://runner.test/",
  RUNNER_TOKEN: "token",
  RUNNER_WEBHOOK_SECRET: `whsec_${btoa("r".repeat(32))}`,
};
const PUBLIC_URL = "https://vignette.test";

function fault(env: Record<string, unknown>): string {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof Misconfigured) return error.message;
    throw error;
  }
  return "none";
}

describe("the configuration of runners", () => {
  it("is the one of RUNNER_URL first, then those of RUNNERS, in order", ({ expect }) => {
    const both = readConfig({ ...OWN, PUBLIC_URL, RUNNERS: JSON.stringify(RUNNERS) });
    expect(both.runners.map(({ name, kind }) => [name, kind])).toEqual([
      ["default", "vignette"],
      ["cloud", "replicate"],
      ["cog", "cog"],
    ]);
    expect(both.runners[0]).toMatchObject({ url: "http://runner.test" });
    const alone = readConfig({ PUBLIC_URL, RUNNERS: JSON.stringify(RUNNERS) });
    expect(alone.runners.map(({ name }) => name)).toEqual(["cloud", "cog"]);
    expect(readConfig({ ...OWN, PUBLIC_URL }).runners).toHaveLength(1);
  });

  it("says in a sentence what is wrong with it, and where", ({ expect }) => {
    const [cloud, cog] = RUNNERS;
    const runners = (value: unknown) => fault({ ...OWN, PUBLIC_URL, RUNNERS: JSON.stringify(value) });
    expect(fault({ PUBLIC_URL })).toMatch(/^The variable RUNNER_URL \(where the runner answers.*\) is missing\.$/);
    expect(fault({ ...OWN, RUNNER_TOKEN: undefined, PUBLIC_URL, RUNNERS: JSON.stringify(RUNNERS) })).toMatch(
      /RUNNER_TOKEN .* is missing/,
    );
    expect(fault({ ...OWN, PUBLIC_URL, RUNNERS: "[" })).toMatch(/RUNNERS .* must be a JSON array\.$/);
    expect(runners([])).toMatch(/must name at least one runner/);
    expect(runners([cloud, cloud])).toMatch(/names a runner twice/);
    expect(runners([{ ...cog, name: "default" }])).toMatch(/must not use the name default/);
    expect(runners([{ ...cloud, kind: "carrier-pigeon" }])).toMatch(/at 0\.kind/);
    expect(runners([{ ...cog, callback_token: "short" }])).toMatch(/at 0\.callback_token: must have at least 16/);
    expect(runners([cloud, { ...cog, url: "cog.test" }])).toMatch(/at 1\.url: must be an http\(s\) URL/);
    expect(runners([{ ...cog, models: [{ id: "sketch" }] }])).toMatch(/at 0\.models\.0\.schedulers/);
  });

  it("keeps its secrets to itself when it is wrong", ({ expect }) => {
    const [cloud] = RUNNERS;
    const said = fault({
      ...OWN,
      PUBLIC_URL,
      RUNNERS: JSON.stringify([{ ...cloud, webhook_secret: "whsec_my%secret", token: 5 }]),
    });
    expect(said).not.toMatch(/my%secret/);
  });
});

describe("a model's own input names", () => {
  it("replace ours, and null leaves one out", ({ expect }) => {
    const input = { prompt: "a cat", num_images: 2, model: "x", seed: 1 };
    const inputs = { num_images: "num_outputs", model: null };
    expect(inputsOf(input as never, { inputs })).toEqual({ prompt: "a cat", num_outputs: 2, seed: 1 });
  });
});

describe("the circuit breaker", () => {
  it("is closed, open until its rest is over, then half-open, with somebody trying or not", ({ expect }) => {
    const at = (openUntil: number | null, probeUntil: number | null = null) =>
      circuitOf({ failures: 9, openUntil, probes: 0, probeUntil }, 1000);
    expect(at(null)).toEqual({ state: "closed" });
    expect(at(1001)).toEqual({ state: "open", at: 1001 });
    expect(at(1000)).toEqual({ state: "half-open", probed: false });
    expect(at(900, 1500)).toEqual({ state: "half-open", probed: true });
    expect(at(900, 1000)).toEqual({ state: "half-open", probed: false });
  });

  /** How many calls a runner gets, of `calls` spread over time, until its circuit opens; null: it stays closed. */
  function callsUntilOpen(calls: number, everyMs: number, isIll: (call: number) => boolean): number | null {
    const window = new CallWindow();
    for (let call = 1; call <= calls; call++) if (window.note(isIll(call), 1_000_000 + call * everyMs)) return call;
    return null;
  }

  it("opens after ten calls to a runner that answers none", ({ expect }) => {
    expect(callsUntilOpen(100, 1, () => true)).toBe(10);
    expect(callsUntilOpen(100, 2_000, () => true)).toBe(10);
  });

  it("says nothing about fewer than ten calls in 30 s", ({ expect }) => {
    expect(callsUntilOpen(1_000, 4_000, () => true)).toBeNull();
  });

  it("stays closed before a runner that fails a third, or half, of its calls", ({ expect }) => {
    for (const everyMs of [1, 50, 1_000]) {
      expect(callsUntilOpen(10_000, everyMs, (call) => call % 3 === 0)).toBeNull();
      expect(callsUntilOpen(10_000, everyMs, (call) => call % 2 === 0)).toBeNull();
    }
  });

  it("seldom opens before one that fails a third of them at random", ({ expect }) => {
    // mulberry32, so that every run sees the same ten thousand calls.
    let state = 20261125;
    const random = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const window = new CallWindow();
    let opened = 0;
    for (let call = 0; call < 10_000; call++) {
      if (!window.note(random() < 1 / 3, call * 100)) continue;
      opened++;
      window.clear();
    }
    expect(opened).toBeLessThanOrEqual(2);
  });

  it("forgets what was longer ago than 30 s, good and bad", ({ expect }) => {
    const window = new CallWindow();
    for (let call = 0; call < 1_000; call++) window.note(false, call);
    const ill = Array.from({ length: 12 }, (_, call) => window.note(true, 40_000 + call));
    expect(ill.indexOf(true)).toBe(9);
  });

  it("opens on a failure only, and begins anew when it is cleared", ({ expect }) => {
    const window = new CallWindow();
    for (let call = 0; call < 9; call++) window.note(true, call);
    expect(window.note(false, 9)).toBe(false);
    expect(window.note(true, 10)).toBe(true);
    window.clear();
    expect(window.note(true, 11)).toBe(false);
  });
});
