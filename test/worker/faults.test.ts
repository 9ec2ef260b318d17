import {
  createExecutionContext,
  createScheduledController,
  runDurableObjectAlarm,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import type { Bindings } from "../../src/worker/env.ts";
import worker from "../../src/worker/index.ts";
import { FakeRunner } from "../fakes/replicate.ts";
import { call, deliver, edge, imagine, makeKey, read } from "./harness.ts";
import { FAULTS, type Fault, MortalIsolate } from "./mortal.ts";

/** Each of these tests is some twenty. */
const MANY = { timeout: 300_000 };

let runner: FakeRunner;
/** Whose calls those to the runner are just now; null: an isolate's that nothing befalls. */
let isolate: MortalIsolate | null = null;
beforeAll(() => {
  runner = new FakeRunner({
    url: env.RUNNER_URL,
    token: env.RUNNER_TOKEN,
    secret: env.RUNNER_WEBHOOK_SECRET,
    deliver: (request) => callback(request),
  });
  vi.spyOn(globalThis, "fetch").mockImplementation(async (...args) => {
    const request = new Request(args[0], args[1]);
    const ask = () => runner.fetch(request);
    return isolate ? isolate.call(`fetch ${request.method}`, ask) : ask();
  });
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterEach(() => {
  isolate = null;
  vi.useRealTimers();
});

const later = (seconds: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });
const object = (id: string) => env.GENERATION.get(env.GENERATION.idFromName(id));

async function cron(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController(), env, ctx);
  await waitOnExecutionContext(ctx);
}

/** The worker's answer to this, with an isolate's bindings. */
const answers = (request: Request) => (bindings: Bindings, ctx: ExecutionContext) =>
  worker.fetch(request as Parameters<typeof worker.fetch>[0], bindings, ctx);

/** The runner's callback; one that reaches a dying isolate gets no answer. */
async function callback(request: Request): Promise<Response> {
  if (!isolate) return edge(request);
  const answer = await isolate.run(answers(request));
  return answer ?? new Response(null, { status: 502 });
}

type Work<T> = (isolate: MortalIsolate) => Promise<T>;

/** Lets an isolate do this that meets its fate at its `at`-th call. */
async function struck<T>(at: number, fault: Fault, work: Work<T>) {
  const fated = new MortalIsolate(env, at, fault);
  isolate = fated;
  const answer = await work(fated);
  isolate = null;
  return { fated, answer, where: `${fault} ${fated.calls[at - 1]} (call ${at})` };
}

/** At which calls of `work` this can happen: a read that is lost after it was done is one that was not done. */
async function chances<T>(fault: Fault, work: Work<T>): Promise<number[]> {
  const { fated } = await struck(Number.POSITIVE_INFINITY, fault, work);
  const isRead = (name: string) => /^(D1 SELECT|R2\.(get|list)|fetch GET)/.test(name);
  return fated.calls.flatMap((name, n) => (fault.endsWith("after") && isRead(name) ? [] : [n + 1]));
}

function post(key: string, body: Record<string, unknown>, idempotencyKey: string): Request {
  return new Request(`${env.PUBLIC_URL}/v1/generations`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
    body: JSON.stringify(body),
  });
}

async function rowsOf(account: string): Promise<{ id: string; status: string }[]> {
  const rows = await env.DB.prepare("SELECT id, status FROM generations WHERE account_id = ? ORDER BY id").bind(
    account,
  );
  return (await rows.all<{ id: string; status: string }>()).results;
}

const count = (sql: string, ...values: string[]) =>
  env.DB.prepare(sql)
    .bind(...values)
    .first<number>("n");

/** What an account was billed, what lies in storage for it and who was told, as far as it should agree. */
async function books(account: string, ids: string[]) {
  const objects = await Promise.all(ids.map((id) => env.IMAGES.list({ prefix: `images/${id}/` })));
  return {
    billed: await count("SELECT COALESCE(SUM(images), 0) AS n FROM usage WHERE account_id = ?", account),
    pictures: await count(
      "SELECT COUNT(*) AS n FROM images JOIN generations ON generations.id = generation_id WHERE account_id = ?",
      account,
    ),
    told: await count("SELECT COUNT(*) AS n FROM webhook_deliveries WHERE account_id = ?", account),
    objects: objects.flatMap((list) => list.objects).length,
  };
}

/** The account's places, all of them: a request takes the only one there is. */
async function hasItsPlace(key: string): Promise<number> {
  later(90);
  const answer = await call("POST", "/v1/generations", { key, body: { prompt: "one more" } });
  return answer.status;
}

describe.for(FAULTS)("an isolate that %s any of the calls on the way to its 202", MANY, (fault) => {
  it("keeps its word, and draws once", async ({ expect }) => {
    const body = { prompt: "a cat that must not be forgotten", seed: 7, webhook_url: "https://example.com/told" };
    const asks = (key: string) => (fated: MortalIsolate) => fated.run(answers(post(key, body, "once")));
    const all = await chances(
      fault,
      asks(await makeKey({ account: `creates-${fault}-unharmed`, limits: { concurrent: 1 } })),
    );
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
    const key = await makeKey({ account, limits: { concurrent: 1 } });
    const { id } = await imagine(key, body);
    const { id: follower } = await imagine(key, { ...body, user: "ada" });
    await vi.waitUntil(() => runner.predictions.has(id), { timeout: 30_000 });
    await runner.start(id);
    return { key, id, follower };
  }

  it("ends it once, for everybody who waits", async ({ expect }) => {
    const unharmed = await underWay(`completes-${fault}-unharmed`);
    const all = await chances(fault, () => runner.succeed(unharmed.id));
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
