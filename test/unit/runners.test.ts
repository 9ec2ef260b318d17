import { describe, it } from "vitest";
import { Misconfigured, readConfig } from "../../src/worker/config.ts";
import { circuitOf, OPENS_AT, restAfter } from "../../src/worker/runner/breaker.ts";
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
  it("is closed, open until its rest and any probe are over, then half-open", ({ expect }) => {
    const at = (openUntil: number | null, probeUntil: number | null = null) =>
      circuitOf({ failures: 9, openUntil, probeUntil }, 1000);
    expect(at(null)).toEqual({ state: "closed" });
    expect(at(1001)).toEqual({ state: "open", at: 1001 });
    expect(at(1000)).toEqual({ state: "half-open" });
    expect(at(900, 1500)).toEqual({ state: "open", at: 1500 });
  });

  it("rests longer after every failed probe, up to a bound", ({ expect }) => {
    expect(restAfter(OPENS_AT - 1)).toBeNull();
    const rests = Array.from({ length: 40 }, (_, more) => restAfter(OPENS_AT + more) ?? 0);
    expect(rests.slice(0, 4)).toEqual([5_000, 10_000, 20_000, 30_000]);
    expect(Math.max(...rests)).toBe(30_000);
  });
});
