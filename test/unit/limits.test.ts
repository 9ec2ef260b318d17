import { describe, it } from "vitest";
import { type Bucket, filledAt, refill } from "../../src/worker/limits/bucket.ts";
import { rateLimitHeaders } from "../../src/worker/limits/headers.ts";
import { isLimited, rulesOf } from "../../src/worker/limits/rules.ts";

describe("the token bucket", () => {
  it("begins full, fills evenly, never above its size, and not backwards in time", ({ expect }) => {
    expect(refill(null, 60, 5_000)).toEqual({ tokens: 60, at: 5_000 });
    const empty = { tokens: 0, at: 10_000 };
    expect(refill(empty, 60, 10_500)).toEqual({ tokens: 0.5, at: 10_500 });
    expect(refill(empty, 60, 1_000_000)).toEqual({ tokens: 60, at: 1_000_000 });
    expect(refill(empty, 60, 4_000)).toEqual(empty);
    expect(filledAt(empty, 60, 1)).toBe(11_000);
    expect(filledAt({ tokens: 2, at: 7 }, 60, 1)).toBe(7);
  });

  it("lets through at most its size and its refill, however the requests come", ({ expect }) => {
    for (const gap of [1, 37, 400, 999, 2_500]) {
      const perMinute = 30;
      let bucket: Bucket | null = null;
      let passed = 0;
      for (let now = 0; now < 300_000; now += gap) {
        bucket = refill(bucket, perMinute, now);
        if (bucket.tokens < 1) continue;
        bucket.tokens -= 1;
        passed++;
      }
      const most = perMinute + (300_000 * perMinute) / 60_000;
      expect(passed, `every ${gap} ms`).toBeLessThanOrEqual(most);
      expect(passed, `every ${gap} ms`).toBeGreaterThanOrEqual(Math.min(300_000 / gap, most) - 1);
    }
  });
});

describe("rules", () => {
  const who = { keyId: "key_1", user: "ada", group: null, key: {}, account: {} };

  it("are none where no limit is set", ({ expect }) => {
    expect(isLimited(rulesOf(who))).toBe(false);
    expect(isLimited(rulesOf({ ...who, user: null, account: { images_per_day_per_user: 5 } }))).toBe(false);
    expect(isLimited(rulesOf({ ...who, key: { concurrent: 1 } }))).toBe(true);
  });

  it("count per user, key and account", ({ expect }) => {
    const account = { concurrent: 9, images_per_day: 100, concurrent_per_user: 2, images_per_day_per_user: 10 };
    const { concurrent, daily } = rulesOf({ ...who, key: { concurrent: 4, images_per_day: 50 }, account });
    expect(concurrent.map(({ subject, limit }) => [subject, limit])).toEqual([
      ["user:ada", 2],
      ["key:key_1", 4],
      ["account", 9],
    ]);
    expect(daily.map(({ limit }) => limit)).toEqual([10, 50, 100]);
  });
});

describe("a group's rules", () => {
  const who = { keyId: "key_1", user: "ada", group: "server", key: {}, account: {} };
  const settings = {
    limits: { concurrent: 8, images_per_day: 100, concurrent_per_user: 2, images_per_day_per_user: 10 },
    users: { eve: { images_per_day: 0 }, bob: { images_per_day: 50 } },
  };

  it("count for each user in it and for all of them", ({ expect }) => {
    const { concurrent, daily } = rulesOf(who, settings);
    expect([...concurrent, ...daily].map(({ policy, subject, limit }) => [policy, subject, limit])).toEqual([
      ["group-user-concurrent", "group:server user:ada", 2],
      ["group-concurrent", "group:server", 8],
      ["group-user-images-per-day", "group:server user:ada", 10],
      ["group-images-per-day", "group:server", 100],
    ]);
  });

  it("are a user's own where there are some, and blocking is one", ({ expect }) => {
    const day = (user: string | null) => rulesOf({ ...who, user }, settings).daily.map(({ limit }) => limit);
    expect(day("bob")).toEqual([50, 100]);
    expect(day("eve")).toEqual([0, 100]);
    expect(day("constructor")).toEqual([10, 100]);
    expect(day(null)).toEqual([100]);
    expect(isLimited(rulesOf(who))).toBe(false);
  });
});

describe("the RateLimit headers", () => {
  it("say policies and what is left of them", ({ expect }) => {
    const quotas = [
      { policy: "requests", limit: 60, remaining: 59, windowSeconds: 60, resetAt: 1_900 },
      { policy: "concurrent", limit: 4, remaining: 3, windowSeconds: null, resetAt: null },
    ];
    expect(rateLimitHeaders(quotas, 1_000)).toEqual({
      "RateLimit-Policy": '"requests";q=60;w=60, "concurrent";q=4;qu="concurrent-requests"',
      RateLimit: '"requests";r=59;t=1, "concurrent";r=3',
    });
    expect(rateLimitHeaders([], 0)).toEqual({});
  });
});
