import { describe, it } from "vitest";
import { moderate } from "../../src/worker/policy/moderate.ts";
import type { SendOptions } from "../../src/worker/webhooks/send.ts";

const moderation = {
  url: "https://moderation.example.com/ask",
  on_failure: "closed" as const,
  timeout_ms: 100,
  secret: `whsec_${btoa("s".repeat(32))}`,
  previousSecret: null,
  previousUntil: null,
};
const question = {
  type: "prompt.moderation" as const,
  timestamp: "2026-11-29T12:00:00.000Z",
  data: { account: "acme", user: null, model: "miniature", prompt: "a cat", negative_prompt: null },
};

function ask(more: Partial<SendOptions>) {
  const webhooks: SendOptions = {
    allowLocal: false,
    ports: [443],
    ownHost: "vignette.example.com",
    resolve: async () => ["93.184.216.34"],
    fetch: async () => Response.json({ allowed: true }),
    ...more,
  };
  return moderate(moderation, question, { id: "mod_1", now: 0, webhooks });
}

const never = () => new Promise<never>(() => {});

describe("the time that a moderation hook has", () => {
  it("is enough for one that answers", async ({ expect }) => {
    expect(await ask({})).toEqual({ allowed: true });
  });

  it.for([
    ["a resolver that says nothing", { resolve: never }],
    ["a hook that says nothing", { fetch: never }],
    ["a hook that does not end", { fetch: async () => new Response(new ReadableStream({})) }],
  ] as [string, Partial<SendOptions>][])("ends with %s", async ([, broken], { expect }) => {
    expect(await ask(broken)).toBeNull();
  });

  it("is one for the look-up of its name and for its answer", async ({ expect }) => {
    const signals: (AbortSignal | null | undefined)[] = [];
    await ask({
      resolve: async (_, signal) => {
        signals.push(signal);
        return ["93.184.216.34"];
      },
      fetch: async (_, init) => {
        signals.push(init?.signal);
        return Response.json({ allowed: true });
      },
    });
    expect(signals).toHaveLength(2);
    expect(signals[0]).toBeInstanceOf(AbortSignal);
    expect(signals[1]).toBe(signals[0]);
  });
});
