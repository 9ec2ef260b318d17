import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, it } from "vitest";
import { newId } from "../../../src/contract/ids.ts";
import { type Deps, makeDeps } from "../../../src/worker/deps.ts";
import { readiness } from "../../../src/worker/services/health.ts";
import { refreshModels } from "../../../src/worker/services/models.ts";
import { type Offered, offerToRunners } from "../../../src/worker/services/offer-to-runners.ts";
import type { FakeRunner } from "../../fakes/replicate.ts";
import { installWorld } from "./world.ts";

const INPUT = {
  prompt: "two purple cats",
  negative_prompt: "",
  model: "miniature",
  adapter: null,
  width: 128,
  height: 128,
  num_inference_steps: 25,
  guidance_scale: 4,
  scheduler: "DDIMScheduler",
  seed: 1,
  num_images: 1,
  output_format: "png",
};

let own: FakeRunner;
/** Milliseconds since 1970, for every isolate of a test. */
let time: number;
beforeAll(async () => {
  ({ own } = installWorld());
  await refreshModels(makeDeps(env, { waitUntil() {} }));
});
beforeEach(async () => {
  await env.DB.prepare("UPDATE runners SET failures = 0, open_until = NULL, probes = 0, probe_until = NULL").run();
  time = Date.now();
  own.mood = "well";
  own.beforeAnswer = null;
});

/** What one isolate works with, of one runner: it shares the database with others, not its memory. */
function isolate(): Deps {
  const deps = makeDeps(env, { waitUntil() {} });
  const all = deps.runners.all.filter(({ name }) => name === "default");
  return { ...deps, config: { ...deps.config }, runners: { ...deps.runners, all }, now: () => time };
}
const offer = (deps: Deps): Promise<Offered> =>
  offerToRunners(deps, { id: newId("gen", time), accountId: "acme" }, INPUT);
const pass = (seconds: number) => {
  time += seconds * 1000;
};
const asked = () => own.requests.filter((line) => line.startsWith("PUT ")).length;

/** How many of `tries` offers, one after the other, reach the runner. */
async function reach(deps: Deps, tries: number): Promise<number> {
  const before = asked();
  for (let n = 0; n < tries; n++) await offer(deps);
  return asked() - before;
}

describe("the circuit breaker", () => {
  it("opens after ten calls that fail, and rests longer each time that three probes fail too", async ({ expect }) => {
    const deps = isolate();
    own.mood = "broken";
    expect(await reach(deps, 15)).toBe(10);
    for (const rest of [5, 10, 20, 30, 30, 30]) {
      pass(rest - 1);
      expect(await reach(deps, 2)).toBe(0);
      expect(await offer(deps)).toMatchObject({ kind: "refused", retryAfter: 1 });
      pass(1);
      expect(await reach(deps, 5)).toBe(3);
    }
  });

  it("closes with the first probe that is answered, and counts anew", async ({ expect }) => {
    const deps = isolate();
    own.mood = "broken";
    await reach(deps, 10);
    pass(5);
    await offer(deps);
    own.mood = "well";
    expect(await offer(deps)).toMatchObject({ kind: "taken" });
    own.mood = "broken";
    expect(await reach(deps, 15)).toBe(10);
    // And rests for as long as the first time.
    expect(await offer(deps)).toMatchObject({ kind: "refused", retryAfter: 5 });
  });

  it("closes for a runner that is full: it answers", async ({ expect }) => {
    const deps = isolate();
    own.mood = "broken";
    await reach(deps, 10);
    pass(5);
    own.mood = "busy";
    expect(await reach(deps, 4)).toBe(4);
  });

  it("lets one probe through at a time", async ({ expect }) => {
    const deps = isolate();
    own.mood = "broken";
    await reach(deps, 10);
    pass(5);
    own.mood = "well";
    const answering = Promise.withResolvers<void>();
    const others: Offered[] = [];
    own.beforeAnswer = async () => {
      own.beforeAnswer = null;
      for (const other of [deps, isolate(), isolate()]) others.push(await offer(other));
      answering.resolve();
    };
    expect(await offer(deps)).toMatchObject({ kind: "taken" });
    await answering.promise;
    expect(others).toEqual(Array(3).fill({ kind: "refused", retryAfter: 1, busy: false }));
    expect(await offer(deps)).toMatchObject({ kind: "taken" });
  });

  it("does not wait for ever for a probe whose isolate died", async ({ expect }) => {
    const deps = isolate();
    own.mood = "broken";
    await reach(deps, 10);
    own.mood = "well";
    pass(5);
    expect(await deps.runnerRows.probe("default", time, time + 15_000)).toBe(true);
    expect(await reach(deps, 1)).toBe(0);
    pass(15);
    expect(await offer(deps)).toMatchObject({ kind: "taken" });
  });

  it("lets a runner work that fails a third of its calls, at no trip to the database", async ({ expect }) => {
    const deps = isolate();
    await offer(deps);
    const before = deps.counts.d1;
    let taken = 0;
    for (let call = 0; call < 300; call++) {
      own.mood = call % 3 === 0 ? "broken" : "well";
      if ((await offer(deps)).kind === "taken") taken++;
    }
    expect([taken, deps.counts.d1 - before]).toEqual([200, 0]);
  });

  it("is known to other isolates, and shown by /readyz", async ({ expect }) => {
    const [one, other] = [isolate(), isolate()];
    await offer(other);
    own.mood = "broken";
    await reach(one, 10);
    // What another remembers of the runners is five seconds old at most.
    pass(5);
    pass(-0.001);
    own.mood = "well";
    expect(await reach(other, 1)).toBe(1);
    expect(await reach(isolate(), 1)).toBe(0);
    const circuit = async () => (await readiness(isolate())).runners.find(({ name }) => name === "default")?.circuit;
    expect(await circuit()).toBe("open");
    pass(0.001);
    expect(await circuit()).toBe("half-open");
    expect(await reach(other, 1)).toBe(1);
    expect(await circuit()).toBe("closed");
  });
});
