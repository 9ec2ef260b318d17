import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { DELIVERY } from "../../fakes/protocols.ts";
import { type FakePrediction, FakeRunner } from "../../fakes/replicate.ts";
import { CLOUD_SECRET, COG_TOKEN } from "../../fakes/runners.ts";
import { edge } from "../harness.ts";

/** The three runners that this project's worker knows. */
export interface World {
  own: FakeRunner;
  cloud: FakeRunner;
  cog: FakeRunner;
}

export function installWorld(): World {
  const world = {
    own: new FakeRunner({
      url: env.RUNNER_URL,
      token: env.RUNNER_TOKEN,
      secret: env.RUNNER_WEBHOOK_SECRET,
      deliver: edge,
    }),
    cloud: new FakeRunner({
      kind: "replicate",
      url: "https://replicate.test",
      token: "r8_for_tests_only",
      secret: CLOUD_SECRET,
      deliver: edge,
    }),
    cog: new FakeRunner({
      kind: "cog",
      url: "http://cog.test",
      token: "a-proxy-wants-this",
      secret: COG_TOKEN,
      deliver: edge,
    }),
  };
  const hosts = new Map(Object.values(world).map((runner) => [new URL(runner.url).host, runner]));
  hosts.set(DELIVERY, world.cloud);
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    const { host } = new URL(new Request(input, init).url);
    return (hosts.get(host) ?? world.own).fetch(input, init);
  });
  return world;
}

/** The prediction that draws a generation, under whatever id. */
export function drawing(runner: FakeRunner, generation: string): Promise<FakePrediction> {
  return vi.waitUntil(
    () => [...runner.predictions.values()].find(({ webhook }) => webhook?.includes(`/internal/runner/${generation}`)),
    { timeout: 30_000, interval: 5 },
  );
}

/** What the database knows of a generation's way to its runner. */
export function rowOf(id: string) {
  return env.DB.prepare("SELECT status, runner, prediction_id, dispatched_at, attempts FROM generations WHERE id = ?")
    .bind(id)
    .first<{
      status: string;
      runner: string | null;
      prediction_id: string | null;
      dispatched_at: number | null;
      attempts: number;
    }>();
}

/** Waits until the edge knows that a runner has it, and its object watches over it. */
export async function dispatched(id: string): Promise<void> {
  await vi.waitUntil(async () => (await rowOf(id))?.dispatched_at != null, { timeout: 30_000, interval: 5 });
}
