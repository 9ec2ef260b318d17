import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import { answers, books, chances, cron, hasItsPlace, installFates, later, object, post, rowsOf } from "./fated.ts";
import { call, deliver, imagine, makeKey, read } from "./harness.ts";
import { FAULTS, type MortalIsolate } from "./mortal.ts";

/** Each of these tests is some twenty. */
const MANY = { timeout: 300_000 };

let fates: ReturnType<typeof installFates>;
beforeAll(() => {
  fates = installFates();
});
afterEach(() => {
  vi.useRealTimers();
});

describe.for(FAULTS)("an isolate that %s any of the calls on the way to its 202", MANY, (fault) => {
  it("keeps its word, and draws once", async ({ expect }) => {
    const { runner, struck, unharmed } = fates;
    const body = { prompt: "a cat that must not be forgotten", seed: 7, webhook_url: "https://example.com/told" };
    const asks = (key: string) => (fated: MortalIsolate) => fated.run(answers(post(key, body, "once")));
    const first = await makeKey({ account: `creates-${fault}-unharmed`, limits: { concurrent: 1 } });
    const all = chances(fault, (await unharmed(asks(first))).fated);
    expect(all.length).toBeGreaterThan(5);
    for (const at of all) {
      const account = `creates-${fault}-${at}`.replaceAll(" ", "-");
      const key = await makeKey({ account, limits: { concurrent: 1 } });
      const { fated, answer, where } = await struck(at, fault, asks(key));
      const [row] = await rowsOf(account);
      if (answer) {
        expect([202, 500, 503], where).toContain(answer.status);
        if (answer.status === 202) expect((await answer.json<Generation>()).id, where).toBe(row?.id);
        else expect(answer.headers.get("Content-Type"), where).toBe("application/problem+json");
      }
      // Eleven seconds later its own message comes; where it could not even be sent, the cron finds what is there.
      later(11);
      for (const { body } of fated.sent) await deliver(body);
      if (row && !runner.predictions.has(row.id)) {
        expect(answer?.status, `${where}: a word that only the cron keeps`).not.toBe(202);
        later(60);
        await cron();
      }
      // The client knows nothing, or has an error: it asks again, with the same key.
      later(90);
      const again = await call("POST", "/v1/generations", { key, body, headers: { "Idempotency-Key": "once" } });
      expect(again.status, where).toBe(202);
      const { id } = await again.json<Generation>();
      if (row) expect(id, where).toBe(row.id);
      await vi.waitUntil(() => runner.predictions.has(id), { timeout: 30_000 });
      await runner.draw(id);
      expect(await rowsOf(account), where).toEqual([{ id, status: "succeeded" }]);
      expect(await books(account, [id]), where).toEqual({ billed: 1, pictures: 1, told: 1, objects: 1 });
      expect(await hasItsPlace(key), where).toBe(202);
    }
  });
});

describe.for(FAULTS)("an isolate that %s any of the calls on a picture's way home", MANY, (fault) => {
  const body = { prompt: "a cat that comes home", seed: 7, webhook_url: "https://example.com/told" };

  /** A picture under way, and another request that waits for it. */
  async function underWay(account: string) {
    const { runner } = fates;
    const key = await makeKey({ account, limits: { concurrent: 1 } });
    const { id } = await imagine(key, body);
    const { id: follower } = await imagine(key, { ...body, user: "ada" });
    await vi.waitUntil(() => runner.predictions.has(id), { timeout: 30_000 });
    await runner.start(id);
    return { key, id, follower };
  }

  it("ends it once, for everybody who waits", async ({ expect }) => {
    const { runner, struck, unharmed } = fates;
    const first = await underWay(`completes-${fault}-unharmed`);
    const all = chances(fault, (await unharmed(() => runner.succeed(first.id))).fated);
    expect(all.length).toBeGreaterThan(5);
    for (const at of all) {
      const account = `completes-${fault}-${at}`.replaceAll(" ", "-");
      const { key, id, follower } = await underWay(account);
      const { answer, where } = await struck(at, fault, () => runner.succeed(id));
      // The runner says it again to whoever did not say thanks; what it cannot mend, the objects' alarms do.
      if (answer?.status === 500) await runner.callback(runner.get(id), "completed");
      later(21);
      // An object that has heard of the end would forget it.
      for (const waits of [id, follower])
        if ((await object(waits).status()) !== "succeeded") await runDurableObjectAlarm(object(waits));
      for (const waits of [id, follower]) {
        expect((await read(key, waits)).status, where).toBe("succeeded");
        expect(await object(waits).status(), `${where}: who watches ${waits} must hear of its end`).toBe("succeeded");
      }
      // A shared picture costs nothing, and lies in storage once.
      expect(await books(account, [id, follower]), where).toEqual({ billed: 1, pictures: 2, told: 2, objects: 1 });
      expect(await hasItsPlace(key), where).toBe(202);
    }
  });
});
