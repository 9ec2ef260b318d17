import fc from "fast-check";
import { beforeAll, describe, it } from "vitest";
import openapi from "../../docs/openapi.json";
import { OpenAIError } from "../../src/contract/openai.ts";
import { Problem } from "../../src/contract/problem.ts";
import type { WebhookEndpoint } from "../../src/contract/webhooks.ts";
import { bodies, bodyOperations, type Description, type Hints } from "../fakes/bodies.ts";
import { call, imagine, installRunner, makeKey, reaches } from "./harness.ts";

// The same cases each time: a new one that fails belongs into a commit, not into somebody else's run.
fc.configureGlobal({ seed: 20261129, numRuns: 60 });

const description = openapi as unknown as Description;
const OPENAI = "/v1/images/generations";

/** What this edge has, so that bodies get past the door. */
const HINTS: Hints = {
  prompt: fc.constantFrom("two purple cats", "an owl at night"),
  model: fc.constant("miniature"),
  adapter: fc.constantFrom("sur", null),
  scheduler: fc.constantFrom("DDIMScheduler", "EulerDiscreteScheduler"),
  width: fc.constantFrom(64, 128, 256),
  height: fc.constantFrom(64, 128, 256),
  num_inference_steps: fc.integer({ min: 1, max: 100 }),
  size: fc.constantFrom("auto", "128x64", null),
  url: fc.constant("https://hooks.example.com/in"),
  webhook_url: fc.constant("https://hooks.example.com/in"),
  expires_at: fc.constantFrom("2126-01-01T00:00:00Z", "2126-01-01T00:00:00+02:00"),
};

/** What a picture of each format begins with. */
const HEADS: Record<string, string> = { png: "\x89PNG\r\n\x1a\n", jpeg: "\xff\xd8\xff", webp: "RIFF\0\0\0\0WEBP" };

beforeAll(() => {
  const runner = installRunner();
  // Draws at once: OpenAI's route answers with the picture.
  runner.beforeAnswer = async () => {
    const newest = [...runner.predictions.keys()].at(-1) ?? "";
    const { output_format: format, num_images: count } = runner.get(newest).input;
    const bytes = Uint8Array.from(HEADS[String(format)] ?? "", (char) => char.charCodeAt(0));
    await runner.start(newest);
    await runner.succeed(newest, Array(Number(count)).fill(bytes));
  };
});

/** A fresh account that has one of each thing, and the path to its own. */
async function own(path: string, account: string): Promise<{ key: string; path: string }> {
  const key = await makeKey({ account, operator: true });
  const moderation = { url: "https://hooks.example.com/ask", on_failure: "open" };
  if (path === "/v1/policy/rotate-secret") await call("PUT", "/v1/policy", { key, body: { moderation } });
  if (!path.includes("{")) return { key, path };
  const { id: generation } = await imagine(key);
  await reaches(key, generation, "succeeded");
  const made = await call("POST", "/v1/keys", { key, body: { name: "another", scopes: ["read"] } });
  const hook = await call("POST", "/v1/webhook-endpoints", { key, body: { url: "https://hooks.example.com/in" } });
  const names: Record<string, string> = {
    generations: generation,
    images: "0",
    keys: (await made.json<{ id: string }>()).id,
    "webhook-endpoints": (await hook.json<WebhookEndpoint>()).id,
    groups: "guild",
    profiles: "ada",
  };
  const parts = path.split("/");
  return { key, path: parts.map((part, at) => (part.startsWith("{") ? names[parts[at - 1] ?? ""] : part)).join("/") };
}

describe("any body at all", () => {
  const operations = bodyOperations(description).map((operation): [string, typeof operation] => [
    `${operation.method} ${operation.path}`,
    operation,
  ]);

  it.for(operations)("%s has an answer that its description knows", async ([name, operation], { expect }) => {
    const { method, statuses, schema } = operation;
    const { key, path } = await own(operation.path, `any-${operations.findIndex(([other]) => other === name)}`);
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(bodies(schema, description, HINTS), async (body) => {
        const response = await call(method, path, { key, body: JSON.stringify(body) });
        const text = await response.text();
        expect(statuses, text).toContain(response.status);
        expect(response.status, text).toBeLessThan(500);
        if (response.ok) taken++;
        else if (path === OPENAI) OpenAIError.parse(JSON.parse(text));
        else expect(Problem.parse(JSON.parse(text)).status).toBe(response.status);
      }),
    );
    // Refusing everything would be no proof.
    expect(taken).toBeGreaterThan(0);
  });
});
