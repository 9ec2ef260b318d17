import { afterEach, beforeAll, describe, it, vi } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import { answers, books, chances, cron, hasItsPlace, installFates, later, post, rowsOf } from "./fated.ts";
import { call, deliver, drawn, imagine, makeKey, read } from "./harness.ts";
import { FAULTS, type Fault, type MortalIsolate } from "./mortal.ts";

/** Each of these tests is some twenty. */
const MANY = { timeout: 300_000 };
const HOOK = "https://moderation.example.com/ask";
const BODY = { prompt: "a cat that others want too", seed: 7 };

let fates: ReturnType<typeof installFates>;
beforeAll(() => {
  fates = installFates(async ({ url }) => {
    if (url === HOOK) return Response.json({ allowed: true });
    const type = new URL(url).searchParams.get("type");
    return Response.json({ Status: 0, Answer: type === "1" ? [{ type: 1, data: "93.184.216.34" }] : [] });
  });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Way {
  body: Record<string, unknown>;
  /** What such a request is answered with. */
  status: number;
  /** What is there before it is asked; answers the generation whose pictures it shares. */
  before(key: string): Promise<string | null>;
  /** Calls that only this way makes. */
  makes: RegExp;
}

const underWay = async (key: string) => {
  const { id } = await imagine(key, BODY);
  await vi.waitUntil(() => fates.runner.predictions.has(id), { timeout: 30_000 });
  return id;
};

/** The ways to an accepted request besides that of a picture that nobody has asked for. */
const WAYS: Record<string, Way> = {
  "waits for a picture under way": {
    body: { ...BODY, user: "ada", webhook_url: "https://example.com/told" },
    status: 202,
    before: underWay,
    makes: /^(LIMITS\.note|GENERATION\.follow)$/,
  },
  "shares a picture that is there": {
    body: { ...BODY, user: "ada", webhook_url: "https://example.com/told" },
    status: 200,
    before: async (key) => (await drawn(fates.runner, key, BODY)).id,
    makes: /^WEBHOOKS\.send$/,
  },
  "is looked at by a moderation hook": {
    body: { ...BODY, webhook_url: "https://example.com/told" },
    status: 202,
    async before(key) {
      const moderation = { url: HOOK, on_failure: "closed", timeout_ms: 5_000 };
      await call("PUT", "/v1/policy", { key, body: { moderation } });
      return null;
    },
    makes: /^fetch POST$/,
  },
};

const cases = Object.keys(WAYS).flatMap((name) => FAULTS.map((fault): [string, Fault] => [name, fault]));

describe.for(cases)("a request that %s, whose isolate %s at any of its calls", MANY, ([name, fault]) => {
  const { body, status, before, makes } = WAYS[name] as Way;
  const asks = (key: string) => (fated: MortalIsolate) => fated.run(answers(post(key, body, "once")));
  const accountOf = (at: number | string) => `${name}-${fault}-${at}`.replaceAll(/\W/g, "-");

  it("is answered truly, and costs what it should", async ({ expect }) => {
    const { runner, struck, unharmed } = fates;
    const limits = { concurrent: 1, images_per_day: 9 };
    const first = await makeKey({ account: accountOf("unharmed"), limits });
    await before(first);
    const rehearsal = await unharmed(asks(first));
    expect(rehearsal.answer?.status).toBe(status);
    expect(rehearsal.fated.calls).toContainEqual(expect.stringMatching(makes));
    const all = chances(fault, rehearsal.fated);
    expect(all.length).toBeGreaterThan(2);
    for (const at of all) {
      const account = accountOf(at);
      const key = await makeKey({ account, limits });
      const leader = await before(key);
      const { fated, answer, where } = await struck(at, fault, asks(key));
      const row = (await rowsOf(account)).find(({ id }) => id !== leader);
      if (answer) {
        expect([status, 500, 503], where).toContain(answer.status);
        if (answer.status === status) expect((await answer.json<Generation>()).id, where).toBe(row?.id);
        else expect(answer.headers.get("Content-Type"), where).toBe("application/problem+json");
      }
      later(11);
      for (const { body: message } of fated.sent)
        await deliver(message, "delivery" in message ? { queue: "webhooks" } : {});
      if (row?.status === "queued" && leader === null && !runner.predictions.has(row.id)) {
        later(60);
        await cron();
      }
      later(90);
      const repeat = await call("POST", "/v1/generations", { key, body, headers: { "Idempotency-Key": "once" } });
      expect(repeat.status, where).toBe(status);
      const { id } = await repeat.json<Generation>();
      if (row) expect(id, where).toBe(row.id);

      const draws = leader ?? id;
      await vi.waitUntil(() => runner.predictions.has(draws), { timeout: 30_000 });
      if ((await read(key, draws)).status !== "succeeded") await runner.draw(draws);
      await vi.waitUntil(async () => (await read(key, id)).status === "succeeded", { timeout: 30_000 });
      const ids = leader === null ? [id] : [leader, id];
      expect((await rowsOf(account)).map((one) => one.id).sort(), where).toEqual(ids.sort());
      expect(await books(account, ids), where).toEqual({ billed: 1, pictures: ids.length, told: 1, objects: 1 });
      expect(runner.predictions.has(id), where).toBe(leader === null);
      expect(await hasItsPlace(key), where).toBe(202);
    }
  });
});
