import { beforeEach, describe, it } from "vitest";
import { deliver } from "./harness.ts";
import { account, endpoint, installWorld, unsent, type World } from "./webhook-world.ts";

const HOUR = 3_600;

let world: World;
beforeEach(() => {
  world = installWorld();
});

describe("a webhook's message in the queue", () => {
  it.for([
    [6, 14],
    [7, 20],
  ] as const)(
    "after %i failures waits there for the next attempt, %i h away",
    async ([attempts, hours], { expect }) => {
      const { id } = await endpoint(await account());
      world.answers["hooks.example.com"] = () => new Response(null, { status: 500 });
      const delivery = await unsent(id, { attempts, created: Date.now() - 1000 });
      const { acked, delaySeconds } = await deliver({ delivery }, { queue: "webhooks" });
      expect(acked).toBe(false);
      // A tenth later at most; a queue holds it back for a day.
      expect(delaySeconds).toBeGreaterThanOrEqual(hours * HOUR);
      expect(delaySeconds).toBeLessThanOrEqual(Math.min(24, hours * 1.1) * HOUR);
    },
  );
});
