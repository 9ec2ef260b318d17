import { beforeAll, describe, it } from "vitest";
import { openAIError } from "../../src/worker/openai-errors.ts";
import { Refusal } from "../../src/worker/refusal.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, installRunner, makeKey, until } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

const ask = (body: object, headers: Record<string, string> = {}) =>
  call("POST", "/v1/images/generations", { key, body, headers });

/** The prediction for a prompt, once it is at the runner. */
const arrivalOf = (prompt: string) =>
  until(() => [...runner.predictions.values()].find(({ input }) => input.prompt === prompt));

describe("what OpenAI's clients read of an answer", () => {
  it("has the counts of tokens in the event that its types want them in", async ({ expect }) => {
    const answer = await ask({ prompt: "an owl", stream: true });
    const text = answer.text();
    await runner.draw((await arrivalOf("an owl")).id);
    const data = /^event: image_generation\.completed\ndata: (.*)$/m.exec(await text)?.[1];
    expect(JSON.parse(data ?? "{}").usage).toEqual({
      total_tokens: 0,
      input_tokens: 0,
      output_tokens: 0,
      input_tokens_details: { text_tokens: 0, image_tokens: 0 },
    });
  });

  it("says to try again where the first request with the key is still under way, and only there", async ({
    expect,
  }) => {
    const headers = { "Idempotency-Key": "owls" };
    const first = ask({ prompt: "two owls" }, headers);
    const { id } = await arrivalOf("two owls");
    const early = await ask({ prompt: "two owls" }, headers);
    expect([early.status, early.headers.get("Retry-After"), early.headers.get("x-should-retry")]).toEqual([
      409,
      "2",
      null,
    ]);
    await runner.draw(id);
    expect((await first).status).toBe(200);
    const final = openAIError(new Refusal("account_erased", "This account was erased."));
    expect([final.status, final.headers.get("x-should-retry")]).toEqual([409, "false"]);
  });
});
