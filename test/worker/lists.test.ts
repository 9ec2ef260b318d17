import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, it } from "vitest";
import { makeDeps } from "../../src/worker/deps.ts";
import { makeKey } from "./harness.ts";

const STATUSES = ["queued", "running", "failed", "canceled", "succeeded"] as const;

/** Generations of an account, `each` of every status, their ids in the order of their making. */
async function made(account: string, each: number): Promise<void> {
  await makeKey({ account });
  const numbers = `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${each})`;
  await env.DB.batch(
    STATUSES.map((status) =>
      env.DB.prepare(
        `INSERT INTO generations (id, account_id, key_id, status, model, prompt, parameters, metadata, created_at,
           deadline_at, completed_at)
           ${numbers} SELECT printf('gen_%06d_%s_%s', n, ?1, ?2), ?1, 'key_1', ?2, 'none', 'a cat',
             '{"num_images":1}', '{}', n, 9e12, n FROM numbers`,
      ).bind(account, status),
    ),
  );
}

describe("a list of one status", () => {
  beforeAll(async () => {
    await made("small", 3);
    await made("large", 300);
  });

  it.for(STATUSES.filter((status) => status !== "succeeded"))(
    "reads nothing of what others have, nor of another status: %s",
    async (status, { expect }) => {
      const deps = makeDeps(env, createExecutionContext());
      const rows = await deps.generations.list({ accountId: "small", limit: 20, status });
      expect(rows.map(({ id }) => id)).toEqual([3, 2, 1].map((n) => `gen_00000${n}_small_${status}`));
      // Of each its entry in the index and the row itself.
      expect(deps.counts.rows_read).toBeLessThanOrEqual(2 * rows.length);
    },
  );

  it("goes on behind the page before", async ({ expect }) => {
    const deps = makeDeps(env, createExecutionContext());
    const filter = { accountId: "large", limit: 2, before: "gen_000003_large_queued", status: "queued" } as const;
    const rows = await deps.generations.list(filter);
    expect(rows.map(({ id }) => id)).toEqual(["gen_000002_large_queued", "gen_000001_large_queued"]);
    expect(deps.counts.rows_read).toBeLessThanOrEqual(4);
  });
});
