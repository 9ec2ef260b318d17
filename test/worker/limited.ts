import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { KeyLimits } from "../../src/contract/keys.ts";
import { Problem } from "../../src/contract/problem.ts";
import { Usage } from "../../src/contract/usage.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, installRunner, makeKey } from "./harness.ts";

export interface World {
  runner: FakeRunner;
  /** Lets so many milliseconds pass. */
  pass: (ms: number) => void;
}

/** A world whose time stands still, so that no minute and no day ends within a test; spies of the test before are gone. */
export function installWorld(): World {
  vi.restoreAllMocks();
  let now = Date.now();
  vi.spyOn(Date, "now").mockImplementation(() => now);
  const pass = (ms: number) => {
    now += ms;
  };
  return { runner: installRunner(), pass };
}

let accounts = 0;
/** A key in an account of its own. */
export async function limited(limits: KeyLimits, account?: Record<string, number>): Promise<string> {
  const name = `limited-${++accounts}`;
  const key = await makeKey({ account: name, limits });
  if (account)
    await env.DB.prepare("UPDATE accounts SET limits = ? WHERE id = ?").bind(JSON.stringify(account), name).run();
  return key;
}
/** The account of the newest such key. */
export const newestAccount = (): string => `limited-${accounts}`;

export const post = (key: string, body: Record<string, unknown> = {}): Promise<Response> =>
  call("POST", "/v1/generations", { key, body: { prompt: "two purple cats", ...body } });

/** What a refusal says; no `Retry-After` is not a number. */
export async function refusal(response: Response) {
  const { code, status, "violated-policies": violated, detail } = Problem.parse(await response.json());
  return { code, status, violated, detail, retryAfter: Number(response.headers.get("Retry-After") ?? "none") };
}

export const usage = async (key: string, query = ""): Promise<Usage> =>
  Usage.parse(await (await call("GET", `/v1/usage${query}`, { key })).json());

/** What is left, by policy. */
export async function quotas(key: string, user?: string): Promise<Record<string, number>> {
  const { quotas: left } = await usage(key, user ? `?user=${user}` : "");
  return Object.fromEntries(left.map(({ policy, remaining }) => [policy, remaining]));
}
