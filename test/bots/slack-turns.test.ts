import { describe, it } from "vitest";
import { LocalTurns } from "../../src/bots/slack/turns.ts";
import { NoTurn } from "../../src/bots/slack/wire.ts";
import { TestClock } from "./clock.ts";

describe("turns at Slack", () => {
  it("are never more than 50 edits in any minute, however many want one", async ({ expect }) => {
    const clock = new TestClock();
    const turns = new LocalTurns(clock);
    const at: number[] = [];
    const all = Array.from({ length: 200 }, () =>
      turns.take("chat.update", "C1").then(() => {
        at.push(clock.now());
      }),
    );
    for (let second = 0; second < 600 && at.length < all.length; second++) {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all);
    for (const from of at)
      expect(at.filter((time) => time >= from && time < from + 60_000).length).toBeLessThanOrEqual(50);
  });

  it("are kept for the last states when they get few, and are one a second for posts in a channel", async ({
    expect,
  }) => {
    const clock = new TestClock();
    const turns = new LocalTurns(clock);
    let taken = 0;
    const optional = () => turns.take("chat.update", "C1", { optional: true });
    for (;;) {
      const failed = await optional().catch((error: unknown) => error);
      if (failed) {
        expect(failed).toBeInstanceOf(NoTurn);
        break;
      }
      taken++;
    }
    expect(taken).toBe(6);
    expect(turns.claim("chat.update", "C1")).toBe(0);
    const waits = Array.from({ length: 5 }, () => turns.claim("chat.postMessage", "C1"));
    expect(waits).toEqual([0, 0, 0, 1_000, 2_000]);
    expect(turns.claim("chat.postMessage", "C2")).toBe(0);
    expect(turns.claim("users.info", "C1")).toBe(0);
  });
});
