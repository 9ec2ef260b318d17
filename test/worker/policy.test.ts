import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { beforeAll, beforeEach, describe, it, vi } from "vitest";
import { Policy } from "../../src/contract/policy.ts";
import { Problem } from "../../src/contract/problem.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, reaches } from "./harness.ts";

const HOOK = "https://moderation.example.com/ask";
let runner: FakeRunner;
let account = 0;
let key: string;
/** What the hook answers, and what it was asked. */
let answer: (request: Request) => Response | Promise<Response>;
let asked: { headers: Record<string, string>; body: string }[];

beforeAll(() => {
  runner = installRunner();
  const toRunner = runner.fetch;
  vi.mocked(globalThis.fetch).mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    if (request.url.startsWith(env.RUNNER_URL)) return toRunner(request);
    if (request.url.startsWith("https://cloudflare-dns.com/"))
      return Response.json({ Answer: [{ type: 1, data: "93.184.216.34" }] });
    asked.push({ headers: Object.fromEntries(request.headers), body: await request.clone().text() });
    return answer(request);
  });
});
beforeEach(async () => {
  key = await makeKey({ account: `policy-${++account}` });
  asked = [];
  answer = () => Response.json({ allowed: true });
});

const put = (body: unknown, query = "", by = key) => call("PUT", `/v1/policy${query}`, { key: by, body });
const post = (body: object, headers = {}) =>
  call("POST", "/v1/generations", { key, body: { prompt: "a purple cat", ...body }, headers });
const problem = async (response: Response) => Problem.parse(await response.json());

describe("an account's policy", () => {
  const rules = [{ id: "no-weapons", terms: ["gun", "rifle*"], applies_to: ["prompt"], message: "No weapons here." }];

  it("is kept as it was set, and refuses what it names by the rule's name", async ({ expect }) => {
    expect(Policy.parse(await (await call("GET", "/v1/policy", { key })).json())).toEqual({
      object: "policy",
      account: `policy-${account}`,
      max_prompt_chars: null,
      max_prompt_tokens: null,
      rules: [],
      moderation: null,
      secret: null,
      previous_secret_until: null,
      updated_at: null,
    });
    const set = Policy.parse(await (await put({ rules, max_prompt_chars: 100 })).json());
    expect(set).toMatchObject({ rules, max_prompt_chars: 100, secret: null });
    expect(await (await call("GET", "/v1/policy", { key })).json()).toEqual(set);

    const refused = await post({ prompt: "a cat with two rifles" });
    expect(refused.status).toBe(422);
    expect(await problem(refused)).toMatchObject({
      code: "prompt_refused",
      rule: "no-weapons",
      detail: "The rule no-weapons does not allow this: No weapons here.",
      errors: [{ pointer: "#/prompt" }],
    });
    expect((await post({})).status).toBe(202);
    expect((await problem(await post({ prompt: "cat ".repeat(50) }))).rule).toBe("max_prompt_chars");

    expect((await call("DELETE", "/v1/policy", { key })).status).toBe(204);
    expect((await post({ prompt: "a gun" })).status).toBe(202);
  });

  it("holds for its own account alone", async ({ expect }) => {
    await put({ rules });
    const other = await makeKey({ account: "policy-other" });
    const theirs = await call("POST", "/v1/generations", { key: other, body: { prompt: "a gun" } });
    expect(theirs.status).toBe(202);
    expect((await put({ rules }, "?account=policy-other")).status).toBe(403);
    expect((await call("GET", "/v1/policy?account=policy-other", { key })).status).toBe(403);
    expect((await call("DELETE", "/v1/policy?account=*", { key })).status).toBe(403);
  });

  it("cannot undo what an operator set for everybody", async ({ expect }) => {
    const operator = await makeKey({ account: "operations", operator: true });
    const common = [{ id: "never", terms: ["bomb"] }];
    expect((await put({ rules: common }, "?account=*", operator)).status).toBe(200);
    await put({ rules: [] });
    expect((await problem(await post({ prompt: "a bomb" }))).rule).toBe("never");
    expect((await put({ rules }, `?account=policy-${account}`, operator)).status).toBe(200);
    expect((await problem(await post({ prompt: "a gun" }))).rule).toBe("no-weapons");
    expect((await put({ rules }, "?account=nobody", operator)).status).toBe(404);
    expect((await call("DELETE", "/v1/policy?account=*", { key: operator })).status).toBe(204);
    expect((await post({ prompt: "a bomb" })).status).toBe(202);
  });

  it("does not change the answer to a request that was accepted before", async ({ expect }) => {
    const headers = { "Idempotency-Key": "before-the-policy" };
    const first = await (await post({ prompt: "a gun" }, headers)).json();
    await put({ rules });
    const again = await post({ prompt: "a gun" }, headers);
    expect([again.status, await again.json()]).toEqual([202, first]);
  });

  it("refuses a picture that was drawn before it", async ({ expect }) => {
    const { id } = await imagine(key, { prompt: "a gun", seed: 4 });
    await arrival(runner, id);
    await runner.draw(id);
    await reaches(key, id, "succeeded");
    expect((await post({ prompt: "a gun", seed: 4 })).status).toBe(200);
    await put({ rules });
    expect((await post({ prompt: "a gun", seed: 4 })).status).toBe(422);
  });

  it("speaks to OpenAI's customers as OpenAI does", async ({ expect }) => {
    await put({ rules });
    const refused = await call("POST", "/v1/images/generations", { key, body: { prompt: "a gun" } });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      error: { type: "invalid_request_error", param: "prompt", code: "moderation_blocked" },
    });
  });

  it("leaves the rule and no prompt in the log", async ({ expect }) => {
    await put({ rules });
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    await post({ prompt: "a very private gun" });
    const line = log.mock.calls.map(([text]) => String(text)).find((text) => text.includes("prompt_refused"));
    log.mockRestore();
    expect(JSON.parse(line ?? "{}")).toMatchObject({ status: 422, code: "prompt_refused", rule: "no-weapons" });
    expect(line).not.toContain("private");
  });
});

describe("the moderation hook", () => {
  const hook = (on_failure: "open" | "closed", more = {}) => put({ moderation: { url: HOOK, on_failure, ...more } });

  it("is asked about each prompt, signed, and its word counts", async ({ expect }) => {
    const { secret } = Policy.parse(await (await hook("closed")).json());
    expect((await post({ user: "ada", negative_prompt: "dogs" })).status).toBe(202);
    const [{ headers, body } = { headers: {}, body: "" }] = asked;
    expect(new Webhook(secret ?? "").verify(body, headers)).toMatchObject({
      type: "prompt.moderation",
      data: {
        account: `policy-${account}`,
        user: "ada",
        model: "miniature",
        prompt: "a purple cat",
        negative_prompt: "dogs",
      },
    });
    answer = () => Response.json({ allowed: false, rule: "S4", message: "Not this one." });
    expect(await problem(await post({}))).toMatchObject({
      code: "prompt_refused",
      rule: "S4",
      detail: "The rule S4 does not allow this: Not this one.",
    });
  });

  it.for([
    ["an error", () => new Response("oops", { status: 500 })],
    ["nonsense", () => new Response("<html>")],
    ["something else", () => Response.json({ allowed: "perhaps" })],
    ["a redirect", () => new Response(null, { status: 302, headers: { Location: "https://elsewhere.example.com" } })],
    ["nothing", () => Promise.reject(new TypeError("refused"))],
  ] as const)("that answers with %s lets prompts through or not, as it was set", async ([, reply], { expect }) => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    answer = reply as () => Response;
    await hook("open");
    expect((await post({})).status).toBe(202);
    await hook("closed");
    const refused = await post({});
    expect(refused.status).toBe(503);
    expect(refused.headers.get("Retry-After")).toBe("5");
    expect((await problem(refused)).code).toBe("moderation_unavailable");
    expect(asked).toHaveLength(2);
  });

  it("is not waited for longer than it may take", async ({ expect }) => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    await hook("open", { timeout_ms: 100 });
    answer = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    expect((await post({})).status).toBe(202);
    expect(asked).toHaveLength(1);
  });

  it("that never stops talking is read no further than a verdict can go", async ({ expect }) => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    await hook("open");
    let sent = 0;
    let canceled = false;
    answer = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent++;
            if (sent > 100) controller.error(new Error("It was read on and on."));
            else controller.enqueue(new Uint8Array(1024).fill(0x20));
          },
          cancel() {
            canceled = true;
          },
        }),
      );
    expect((await post({})).status).toBe(202);
    expect(canceled).toBe(true);
    expect(sent).toBeLessThan(20);
  });

  it("may answer in pieces, and at length that a verdict needs", async ({ expect }) => {
    await hook("closed");
    const verdict = JSON.stringify({ allowed: false, rule: "S4", message: "Não, \u{1f6ab}." });
    const bytes = new TextEncoder().encode(verdict + " ".repeat(16_384 - new TextEncoder().encode(verdict).length));
    answer = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            for (let at = 0; at < 80; at++) controller.enqueue(bytes.subarray(at, at + 1));
            controller.enqueue(bytes.subarray(80));
            controller.close();
          },
        }),
      );
    expect(await problem(await post({}))).toMatchObject({ rule: "S4", detail: expect.stringContaining("Não, 🚫.") });
  });

  it("may not lie inside when it is set", async ({ expect }) => {
    const refused = await put({ moderation: { url: "https://10.0.0.1/ask", on_failure: "open" } });
    expect(refused.status).toBe(422);
    expect((await problem(refused)).errors?.[0]?.pointer).toBe("#/moderation/url");
  });

  it("is not asked where it lies inside by the time it is asked", async ({ expect }) => {
    const moderation = { url: "https://localhost/x", on_failure: "closed", timeout_ms: 100 };
    await env.DB.prepare(
      "INSERT INTO policies (account_id, policy, version, secret, updated_at) VALUES (?, ?, 'v', 'whsec_c2VjcmV0', 0)",
    )
      .bind(`policy-${account}`, JSON.stringify({ rules: [], moderation }))
      .run();
    vi.spyOn(console, "warn").mockImplementation(() => {});
    expect((await post({})).status).toBe(503);
    expect(asked).toEqual([]);
  });
});
