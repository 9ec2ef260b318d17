import { beforeAll, describe, it } from "vitest";
import { parseEvents } from "../../src/client/sse.ts";
import { ImagesStreamEvent, OpenAIError } from "../../src/contract/openai.ts";
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

  it("has events as the description says, the one of a picture that failed too", async ({ expect }) => {
    const eventsOf = async (prompt: string, end: (id: string) => Promise<unknown>) => {
      const { body } = await ask({ prompt, stream: true, partial_images: 1 });
      const events = Array.fromAsync(parseEvents(body ?? new ReadableStream()), (event) =>
        ImagesStreamEvent.parse(event),
      );
      const { id } = await arrivalOf(prompt);
      await runner.start(id);
      await runner.progress(id, 9, 25);
      await runner.preview(id, 0, prompt);
      await end(id);
      return events;
    };
    const [partial, whole] = await eventsOf("an owl that is drawn", (id) => runner.succeed(id));
    expect([partial?.event, whole?.event]).toEqual(["image_generation.partial_image", "image_generation.completed"]);
    const failed = await eventsOf("an owl that is not", (id) => runner.fail(id, "It cannot be drawn."));
    expect(failed.at(-1)?.event).toBe("error");
    expect(OpenAIError.parse(JSON.parse(failed.at(-1)?.data ?? "")).error.message).toContain("It cannot be drawn.");
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
