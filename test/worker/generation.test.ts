import { beforeAll, describe, it } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, installRunner, makeKey } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

describe("the way of a prompt", () => {
  it("draws a picture through queue, runner, callback and storage", async ({ expect }) => {
    const answer = call("POST", "/v1/generations", {
      key,
      body: { prompt: "two purple cats", seed: 7 },
      headers: { Prefer: "wait=30" },
    });
    await runner.draw((await arrival(runner)).id);
    const response = await answer;
    expect(response.status).toBe(201);
    expect(response.headers.get("Preference-Applied")).toBe("wait=30");
    const generation = await response.json<Generation>();
    expect(generation).toMatchObject({ status: "succeeded", error: null });
  });
});
