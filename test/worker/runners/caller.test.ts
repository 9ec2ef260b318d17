import { beforeAll, describe, it } from "vitest";
import type { FakeRunner } from "../../fakes/replicate.ts";
import { arrival, imagine, installRunner, makeKey } from "../harness.ts";

let runner: FakeRunner;
beforeAll(() => {
  runner = installRunner();
});

/** Whom the runner is told that a picture of this account is for. */
async function callerOf(account: string): Promise<string | undefined> {
  const { id } = await imagine(await makeKey({ account }));
  await arrival(runner, id);
  return runner.callers.get(id);
}

describe("whom our runner draws for", () => {
  it("is one word for each account, which is not its name", async ({ expect }) => {
    const [ours, again, theirs] = [await callerOf("ours"), await callerOf("ours"), await callerOf("theirs")];
    expect(ours).toMatch(/^[0-9a-f]{32}$/);
    expect(again).toBe(ours);
    expect(theirs).not.toBe(ours);
  });
});
