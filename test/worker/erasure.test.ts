import {
  createExecutionContext,
  createScheduledController,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import worker from "../../src/worker/index.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, drawn, imagine, installRunner, makeKey } from "./harness.ts";

let runner: FakeRunner;
beforeAll(() => {
  runner = installRunner();
});
afterEach(() => {
  vi.useRealTimers();
});

const later = (seconds: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });

async function cron(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController(), env, ctx);
  await waitOnExecutionContext(ctx);
}

/** The keys of the bucket that belong to these generations. */
async function objectsOf(ids: string[]): Promise<string[]> {
  const lists = await Promise.all(ids.map((id) => env.IMAGES.list({ prefix: `images/${id}/` })));
  return lists.flatMap(({ objects }) => objects.map(({ key }) => key));
}

/** What a live object has stored, its alarm included. */
const liveStorage = (id: string) =>
  runInDurableObject(env.GENERATION.get(env.GENERATION.idFromName(id)), async (_, { storage }) => ({
    entries: [...(await storage.list()).keys()],
    alarm: await storage.getAlarm(),
  }));

/** How many rows each table of an account's limits has. */
const limitsStorage = (account: string) =>
  runInDurableObject(env.LIMITS.get(env.LIMITS.idFromName(account)), async (_, { storage }) => {
    const tables = storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
      )
      .toArray();
    const rows = tables.map(({ name }): [string, number] => [
      name,
      storage.sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM ${name}`).one().n,
    ]);
    return { rows: Object.fromEntries(rows), entries: (await storage.list()).size, alarm: await storage.getAlarm() };
  });

describe("an account that is erased", () => {
  it("leaves nothing in R2 and in no object", async ({ expect }) => {
    const account = "leaving";
    const limits = { requests_per_minute: 60, concurrent: 9, images_per_day: 50 };
    const key = await makeKey({ account, limits });
    await call("PATCH", "/v1/groups/guild", {
      key,
      body: { limits: { concurrent: 9 }, users: { ada: { concurrent: 2 } } },
    });
    const first = await drawn(runner, key, { seed: 1, num_images: 2, group: "guild", user: "ada" });
    // Another's view of the same pictures, one that failed, and one that is under way.
    const copy = await (
      await call("POST", "/v1/generations", {
        key,
        body: { prompt: "two purple cats", seed: 1, num_images: 2, user: "bob" },
      })
    ).json<{ id: string; cached: boolean }>();
    expect(copy.cached).toBe(true);
    const failed = await imagine(key);
    await arrival(runner, failed.id);
    await runner.fail(failed.id, "Out of paint.");
    const waiting = await imagine(key, { group: "guild" });
    await arrival(runner, waiting.id);
    await runner.start(waiting.id);
    const ids = [first.id, copy.id, failed.id, waiting.id];
    const neighbour = await drawn(runner, await makeKey({ account: "staying" }));

    expect(await objectsOf(ids)).toHaveLength(2);
    expect((await liveStorage(waiting.id)).entries).not.toEqual([]);
    const before = await limitsStorage(account);
    for (const table of ["places", "spent", "counts", "groups", "members", "buckets"])
      expect(before.rows[table], table).toBeGreaterThan(0);

    expect((await call("DELETE", `/v1/account?confirm=${account}`, { key })).status).toBe(202);
    later(60);
    await cron();
    expect(await env.DB.prepare("SELECT erasing FROM accounts WHERE id = ?").bind(account).first("erasing")).toBe(0);

    expect(await objectsOf(ids)).toEqual([]);
    for (const id of ids) expect(await liveStorage(id), id).toEqual({ entries: [], alarm: null });
    const after = await limitsStorage(account);
    expect(
      Object.values(after.rows).every((count) => count === 0),
      JSON.stringify(after.rows),
    ).toBe(true);
    expect([after.entries, after.alarm]).toEqual([0, null]);
    expect(await objectsOf([neighbour.id])).toHaveLength(1);
  });
});
