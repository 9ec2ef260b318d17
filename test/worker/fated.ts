import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Bindings } from "../../src/worker/env.ts";
import worker from "../../src/worker/index.ts";
import { FakeRunner } from "../fakes/replicate.ts";
import { call, edge } from "./harness.ts";
import { FAULTS, type Fault, MortalIsolate } from "./mortal.ts";

type Work<T> = (isolate: MortalIsolate) => Promise<T>;

/** The worker's answer to this, with an isolate's bindings. */
export const answers = (request: Request) => (bindings: Bindings, ctx: ExecutionContext) =>
  worker.fetch(request as Parameters<typeof worker.fetch>[0], bindings, ctx);

/** Lets isolates meet their fates, at calls to the runner and to other hosts too. @param outside what those answer */
export function installFates(outside: (request: Request) => Promise<Response> = () => Promise.reject(new TypeError())) {
  /** Whose calls those to other hosts are just now; null: an isolate's that nothing befalls. */
  let isolate: MortalIsolate | null = null;
  const runner = new FakeRunner({
    url: env.RUNNER_URL,
    token: env.RUNNER_TOKEN,
    secret: env.RUNNER_WEBHOOK_SECRET,
    async deliver(request) {
      if (!isolate) return edge(request);
      // A callback that reaches a dying isolate gets no answer.
      return (await isolate.run(answers(request))) ?? new Response(null, { status: 502 });
    },
  });
  vi.spyOn(globalThis, "fetch").mockImplementation(async (...args) => {
    const request = new Request(args[0], args[1]);
    const ask = () => (request.url.startsWith(env.RUNNER_URL) ? runner.fetch(request) : outside(request));
    return isolate ? isolate.call(`fetch ${request.method}`, ask) : ask();
  });
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});

  /** Lets an isolate do this that meets its fate at its `at`-th call. */
  async function struck<T>(at: number, fault: Fault, work: Work<T>) {
    const fated = new MortalIsolate(env, at, fault);
    isolate = fated;
    const answer = await work(fated).finally(() => {
      isolate = null;
    });
    return { fated, answer, where: `${fault} ${fated.calls[at - 1]} (call ${at})` };
  }

  /** Lets an isolate do this that nothing befalls. */
  const unharmed = <T>(work: Work<T>) => struck(Number.POSITIVE_INFINITY, FAULTS[0], work);

  return { runner, struck, unharmed };
}

/** At which of an isolate's calls this can happen: a read that is lost after it was done is one that was not done. */
export function chances(fault: Fault, { calls }: MortalIsolate): number[] {
  const isRead = (name: string) => /^(D1 SELECT|R2\.(get|list)|fetch GET)/.test(name);
  return calls.flatMap((name, n) => (fault.endsWith("after") && isRead(name) ? [] : [n + 1]));
}

export const later = (seconds: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });

export const object = (id: string) => env.GENERATION.get(env.GENERATION.idFromName(id));

export async function cron(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController(), env, ctx);
  await waitOnExecutionContext(ctx);
}

export function post(key: string, body: Record<string, unknown>, idempotencyKey: string): Request {
  return new Request(`${env.PUBLIC_URL}/v1/generations`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
    body: JSON.stringify(body),
  });
}

export async function rowsOf(account: string): Promise<{ id: string; status: string }[]> {
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
export async function books(account: string, ids: string[]) {
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
export async function hasItsPlace(key: string): Promise<number> {
  later(90);
  const answer = await call("POST", "/v1/generations", { key, body: { prompt: "one more" } });
  return answer.status;
}
