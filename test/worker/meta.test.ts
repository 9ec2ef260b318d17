import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import { GENERATION_EXAMPLE, GENERATION_MESSAGE_EXAMPLE } from "../../src/contract/examples.ts";
import { Generation } from "../../src/contract/generation.ts";
import { ModelList } from "../../src/contract/models.ts";
import { EVENT_TYPES, GenerationMessage, TEST_EVENT } from "../../src/contract/webhooks.ts";
import { type Deps, makeDeps } from "../../src/worker/deps.ts";
import worker from "../../src/worker/index.ts";
import type { Backend } from "../../src/worker/runner/backend.ts";
import { readiness } from "../../src/worker/services/health.ts";
import { refreshModels } from "../../src/worker/services/models.ts";
import { generationStore } from "../../src/worker/storage/generations.ts";
import { reuseStore } from "../../src/worker/storage/reuse.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, imagine, installRunner, makeKey } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});
afterEach(() => {
  runner.mood = "well";
});

/** What an isolate works with that has seen nothing yet, at a time of its own. */
function isolate(time: { now: number }): Deps {
  const deps = makeDeps(env, { waitUntil() {} });
  return { ...deps, config: { ...deps.config }, now: () => time.now };
}

describe("health", () => {
  it("lives whatever the runner does, and is ready when the runner is", async ({ expect }) => {
    runner.mood = "down";
    expect((await call("GET", "/healthz")).status).toBe(200);
    const waiting = await call("GET", "/readyz");
    const runners = [{ name: "default", kind: "vignette", ready: false, circuit: "closed" }];
    const down = { ready: false, database: true, storage: true, runner: false, runners };
    expect([waiting.status, await waiting.json()]).toEqual([
      503,
      { ...down, degraded: ["The runner default is not ready."] },
    ]);
    runner.mood = "well";
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 1_000);
    const ready = await call("GET", "/readyz");
    clock.mockRestore();
    const well = { ready: true, database: true, storage: true, runner: true, degraded: [] };
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { ...well, runners: runners.map((each) => ({ ...each, ready: true })) },
    ]);
  });

  it("says what is wrong though pictures can be drawn", async ({ expect }) => {
    const ago = Date.now() - 20 * 60_000;
    await imagine(key);
    await env.DB.batch([
      env.DB.prepare("UPDATE generations SET status = 'queued', dispatched_at = NULL, created_at = ?").bind(ago),
      env.DB.prepare(
        `INSERT INTO webhook_deliveries (id, account_id, url, type, status, attempts, next_at, created_at)
           VALUES ('msg_1', 'acme', 'https://example.com', 'generation.failed', 'pending', 1, ?1, ?1)`,
      ).bind(ago),
      env.DB.prepare("UPDATE runners SET failures = 7, open_until = ?").bind(Date.now() + 20_000),
    ]);
    const storage = vi.spyOn(env.IMAGES, "head").mockRejectedValue(new Error("unavailable"));
    const time = { now: Date.now() };
    const state = await readiness(isolate(time));
    storage.mockRestore();
    expect(state).toMatchObject({
      ready: true,
      storage: false,
      degraded: [
        "The storage of pictures does not answer.",
        "The runner default failed too often; nothing is sent there for a while.",
        "The oldest generation in line has waited for 20 min.",
        "1 webhook messages are overdue by more than 10 min.",
      ],
      runners: [{ name: "default", circuit: "open" }],
    });
    time.now += 20_000;
    expect(await readiness(isolate(time))).toMatchObject({
      degraded: expect.arrayContaining(["The runner default failed too often; it is being tried again."]),
      runners: [{ name: "default", circuit: "half-open" }],
    });
    await env.DB.batch([
      env.DB.prepare("DELETE FROM generations"),
      env.DB.prepare("DELETE FROM webhook_deliveries"),
      env.DB.prepare("UPDATE runners SET failures = 0, open_until = NULL"),
    ]);
  });

  it("is looked at once a second at most, however many ask, and nothing is written for it", async ({ expect }) => {
    const time = { now: Date.now() };
    const deps = isolate(time);
    await refreshModels(deps);
    const [backend] = deps.runners.all as [Backend];
    const ready = vi.spyOn(backend, "ready");
    const told = vi.spyOn(deps.runnerRows, "saveModels");
    const first = await readiness(deps);
    time.now += 999;
    expect(await readiness(deps)).toBe(first);
    expect(ready).toHaveBeenCalledTimes(1);
    time.now += 1;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    ready.mockReturnValueOnce(promise);
    const looking = readiness(deps);
    expect(await readiness(deps)).toBe(first);
    expect(ready).toHaveBeenCalledTimes(2);
    resolve(false);
    expect(await looking).toMatchObject({ ready: false, degraded: ["The runner default is not ready."] });
    expect(await readiness(deps)).toMatchObject({ ready: false });
    ready.mockRestore();
    expect(told).not.toHaveBeenCalled();
    // Where no cron asks for them.
    time.now += 60_000;
    expect(await readiness(deps)).toMatchObject({ ready: true });
    expect(told).toHaveBeenCalledTimes(1);
  });
});

describe("models", () => {
  it("are the runner's, in the API's own terms", async ({ expect }) => {
    const list = ModelList.parse(await (await call("GET", "/v1/models", { key })).json());
    expect(list.data).toMatchObject([
      {
        id: "miniature",
        object: "model",
        default: true,
        adapters: [{ id: "sur", default: true }],
        defaults: { width: 128 },
      },
    ]);
  });
});

describe("the description", () => {
  interface Document {
    openapi: string;
    paths: Record<string, Record<string, { responses: Record<string, unknown>; "x-scope"?: string }>>;
    components: {
      schemas: Record<string, { properties?: Record<string, { enum?: string[] }>; additionalProperties?: boolean }>;
    };
  }

  it("is OpenAPI 3.1, names every public route and the runner's schedulers", async ({ expect }) => {
    const document = await (await call("GET", "/openapi.json")).json<Document>();
    expect(document.openapi).toBe("3.1.0");
    const routes = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual([
      "DELETE /v1/account",
      "DELETE /v1/generations/{id}",
      "DELETE /v1/generations/{id}/feedback",
      "DELETE /v1/generations/{id}/images/{index}/share",
      "DELETE /v1/keys/{id}",
      "DELETE /v1/policy",
      "DELETE /v1/profiles/{id}",
      "DELETE /v1/profiles/{id}/favorites/{generation}",
      "DELETE /v1/webhook-endpoints/{id}",
      "GET /healthz",
      "GET /i/{file}",
      "GET /readyz",
      "GET /v1/account",
      "GET /v1/feedback",
      "GET /v1/generations",
      "GET /v1/generations/{id}",
      "GET /v1/generations/{id}/events",
      "GET /v1/groups/{id}",
      "GET /v1/keys",
      "GET /v1/keys/{id}",
      "GET /v1/models",
      "GET /v1/policy",
      "GET /v1/profiles/{id}",
      "GET /v1/usage",
      "GET /v1/webhook-endpoints",
      "GET /v1/webhook-endpoints/default-secret",
      "GET /v1/webhook-endpoints/{id}",
      "GET /v1/webhook-endpoints/{id}/deliveries",
      "PATCH /v1/account",
      "PATCH /v1/groups/{id}",
      "PATCH /v1/keys/{id}",
      "PATCH /v1/profiles/{id}",
      "PATCH /v1/webhook-endpoints/{id}",
      "POST /v1/generations",
      "POST /v1/generations/{id}/cancel",
      "POST /v1/generations/{id}/images/{index}/share",
      "POST /v1/images/generations",
      "POST /v1/keys",
      "POST /v1/keys/{id}/rotate",
      "POST /v1/policy/rotate-secret",
      "POST /v1/webhook-endpoints",
      "POST /v1/webhook-endpoints/default-secret/rotate",
      "POST /v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver",
      "POST /v1/webhook-endpoints/{id}/rotate-secret",
      "POST /v1/webhook-endpoints/{id}/test",
      "PUT /v1/generations/{id}/feedback",
      "PUT /v1/policy",
      "PUT /v1/profiles/{id}/favorites/{generation}",
    ]);
    const request = document.components.schemas.CreateGeneration;
    expect(request?.properties?.scheduler?.enum).toEqual(["DDIMScheduler", "EulerDiscreteScheduler"]);
    expect(request?.additionalProperties).toBe(false);
    expect(Object.keys(document.paths["/v1/generations"]?.post?.responses ?? {})).toEqual(
      expect.arrayContaining(["201", "202", "401", "422"]),
    );
  });

  it("is the committed one: docs/openapi.json changes with the API, and is reviewed with it", async ({ expect }) => {
    const document = await (await call("GET", "/openapi.json")).json<Document & { servers: unknown }>();
    const { scheduler } = document.components.schemas.CreateGeneration?.properties ?? {};
    // What the running service fills in is not part of it.
    if (scheduler) delete scheduler.enum;
    const text = `${JSON.stringify({ ...document, servers: [{ url: "https://vignette.example" }] }, null, 2)}\n`;
    await expect(text).toMatchFileSnapshot("../../docs/openapi.json");
  });

  it("tells of every message that webhooks carry, and gives examples that its own schemas accept", async ({
    expect,
  }) => {
    const { webhooks } = await (await call("GET", "/openapi.json")).json<{ webhooks: object }>();
    expect(Object.keys(webhooks)).toEqual(["prompt.moderation", ...EVENT_TYPES, TEST_EVENT]);
    expect(Generation.parse(GENERATION_EXAMPLE)).toEqual(GENERATION_EXAMPLE);
    expect(GenerationMessage.parse(GENERATION_MESSAGE_EXAMPLE)).toEqual(GENERATION_MESSAGE_EXAMPLE);
    const urls = [...GENERATION_EXAMPLE.images.map(({ url }) => url), ...GENERATION_MESSAGE_EXAMPLE.data.images];
    for (const url of urls) expect(url).toMatch(/^https:\/\/vignette\.example\/i\/[0-9a-f]{32}\.png$/);
  });

  it("has no reference that leads nowhere", async ({ expect }) => {
    const text = await (await call("GET", "/openapi.json")).text();
    const { components } = JSON.parse(text) as Document;
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      expect(components.schemas).toHaveProperty(name ?? "");
  });
});

describe("configuration", () => {
  it("names the variable that is missing, in a sentence", async ({ expect }) => {
    const broken: Record<string, unknown> = { ...env, RUNNER_TOKEN: undefined };
    const ctx = { waitUntil() {}, passThroughOnException() {} } as unknown as ExecutionContext;
    const request = new Request("https://vignette.test/healthz") as Parameters<typeof worker.fetch>[0];
    const response = await worker.fetch(request, broken as unknown as Cloudflare.Env, ctx);
    expect(response.status).toBe(500);
    expect(response.headers.get("X-Request-Id")).toMatch(/^req_/);
    expect(await response.json()).toMatchObject({
      code: "misconfigured",
      detail: "The variable RUNNER_TOKEN (the bearer token that the runner expects) is missing.",
    });
  });
});

describe("the log", () => {
  it("has one line for each request and neither prompts, keys nor image names", async ({ expect }) => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    await imagine(key, { prompt: "a very private sentence" });
    await call("GET", "/i/0123456789abcdef0123456789abcdef.png");
    const lines = log.mock.calls.map(([line]) => String(line));
    log.mockRestore();
    const requests = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "request");
    expect(requests.map(({ method, route, status }) => [method, route, status])).toEqual([
      ["POST", "/v1/generations", 202],
      ["GET", "/i/:file", 404],
    ]);
    for (const secret of ["private", key, "0123456789abcdef"]) expect(lines.join("\n")).not.toContain(secret);
  });
});

/** A database that says how it would do what is asked of it, and does nothing. */
function explaining(plans: string[]): D1Database {
  const statement = (sql: string, values: unknown[] = []): D1PreparedStatement => {
    const all = async () => {
      const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .bind(...values)
        .all<{ detail: string }>();
      plans.push(results.map(({ detail }) => detail).join("; "));
      return { results: [], meta: {} };
    };
    const bind = (...bound: unknown[]) => statement(sql, bound);
    return { bind, all, first: () => all().then(() => null) } as unknown as D1PreparedStatement;
  };
  return {
    prepare: (sql: string) => statement(sql),
    batch: (statements: D1PreparedStatement[]) => Promise.all(statements.map((each) => each.all())),
  } as unknown as D1Database;
}

describe("queries", () => {
  /** How the stores' own queries are done. */
  async function plansOf(ask: (db: D1Database) => Promise<unknown>): Promise<string> {
    const plans: string[] = [];
    await ask(explaining(plans));
    return plans.join("; ");
  }

  it("of the cache read the rows that they answer, however many share a picture", async ({ expect }) => {
    const row = { accountId: "a", user: "ada", metadata: {} };
    for (const idempotencyKey of [null, "k"]) {
      const plan = await plansOf((db) => reuseStore(db).lookUp(row, "x", idempotencyKey));
      expect(plan).toContain("generations_done (cache_key=? AND user=? AND metadata=?)");
      expect(plan).toContain("generations_done (cache_key=?)");
      expect(plan.match(/generations_leading \(cache_key=\?\)/g)).toHaveLength(2);
      expect(plan).not.toMatch(/SCAN (generations|images|idempotency)|USE TEMP B-TREE/);
    }
  });

  it("of a list use what it is narrowed to", async ({ expect }) => {
    const list = (filter: object) =>
      plansOf((db) => generationStore(db).list({ accountId: "a", limit: 20, before: "x", ...filter }));
    expect(await list({})).toMatch(
      /SEARCH generations USING INDEX generations_by_account \(account_id=\? AND id<\?\)$/,
    );
    expect(await list({ user: "ada" })).toMatch(/generations_by_user \(account_id=\? AND user=\? AND id<\?\)$/);
    for (const status of ["failed", "canceled"])
      expect(await list({ status })).toMatch(/generations_by_status \(account_id=\? AND status=\? AND id<\?\)$/);
    // Of this account's alone, whoever else is waiting.
    for (const status of ["queued", "running"])
      for (const filter of [{}, { before: undefined }, { user: "ada" }, { shared: true }, { favoriteOf: "ada" }])
        expect(await list({ status, ...filter }), JSON.stringify(filter)).toMatch(
          /generations_by_status \(account_id=\? AND status=\?/,
        );
  });

  it("find what they want by an index", async ({ expect }) => {
    const unfinished = "status IN ('queued', 'running')";
    for (const sql of [
      "SELECT * FROM generations WHERE id = 'x' AND account_id = 'a'",
      `SELECT id FROM generations WHERE ${unfinished} AND created_at < 5 ORDER BY created_at LIMIT 200`,
      `SELECT COUNT(*) FROM generations WHERE ${unfinished} AND status = 'queued' AND created_at <= 5 AND id < 'x'`,
      "SELECT * FROM images WHERE token = 't'",
      "SELECT * FROM images WHERE generation_id IN (SELECT value FROM json_each('[]')) ORDER BY generation_id, position",
      "SELECT * FROM keys WHERE hash = 'h' OR previous_hash = 'h'",
      "SELECT * FROM keys WHERE account_id = 'a' ORDER BY id DESC LIMIT 20",
      `SELECT * FROM generations WHERE leader_id = 'x' AND ${unfinished} ORDER BY id`,
      "SELECT object_key FROM images WHERE object_key IN (SELECT value FROM json_each('[]'))",
      "SELECT * FROM idempotency WHERE account_id = 'a' AND key = 'k'",
      "DELETE FROM idempotency WHERE created_at < 5",
      ...["", "AND generation_id < 'x'", "AND feedback.user = 'u'"].map(
        (more) =>
          `SELECT feedback.*, generations.model FROM feedback JOIN generations ON generations.id = generation_id
             WHERE feedback.account_id = 'a' ${more} ORDER BY generation_id DESC LIMIT 20`,
      ),
      "UPDATE idempotency SET response = NULL WHERE generation_id = 'x'",
      "SELECT day, SUM(images) FROM usage WHERE account_id = 'a' AND day >= 'd' GROUP BY day ORDER BY day DESC",
    ]) {
      const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ detail: string }>();
      const plan = results.map(({ detail }) => detail).join("; ");
      expect(plan, sql).toMatch(/SEARCH/);
      expect(plan, sql).not.toMatch(/SCAN (generations|images|keys|idempotency|feedback)|USE TEMP B-TREE/);
    }
  });
});
