import { z } from "../contract/zod.ts";

/** What wrangler.toml binds. */
export interface Bindings {
  DB: D1Database;
  IMAGES: R2Bucket;
  GENERATIONS: Queue<GenerationMessage>;
  WEBHOOKS: Queue<DeliveryMessage>;
  GENERATION: DurableObjectNamespace<import("./generation/object.ts").GenerationObject>;
  LIMITS: DurableObjectNamespace<import("./limits/object.ts").LimitsObject>;
  COARSE_LIMIT: RateLimit;
  CHAT: DurableObjectNamespace<import("./chat/object.ts").ChatTaskObject>;
  PUBLIC_URL: string;
}

/** A queue message is an id only: the row in D1 is the truth. */
export interface GenerationMessage {
  id: string;
}

export interface DeliveryMessage {
  delivery: string;
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}

const origin = z
  .url({ protocol: /^https?$/, error: "must be an http(s) URL" })
  .transform((text) => text.replace(/\/+$/, ""));
const secret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, "must be whsec_ followed by at least 24 bytes in base64");
const seconds = z.coerce.number("must be a number of seconds").int().min(1).max(86_400).default(600);

const Variables = z.object({
  RUNNER_URL: origin.describe("where the runner answers, without /v1"),
  RUNNER_TOKEN: z.string().min(1, "must not be empty").describe("the bearer token that the runner expects"),
  RUNNER_WEBHOOK_SECRET: secret.describe("what the runner signs its callbacks with"),
  PUBLIC_URL: origin.describe("where the runner and the clients reach this edge"),
  QUEUE_DEADLINE_SECONDS: seconds.describe("how long a generation may wait for a runner"),
  RUN_DEADLINE_SECONDS: seconds.describe("how long a runner may draw"),
  ALLOW_LOCAL_WEBHOOKS: z
    .enum(["", "0", "1"], "must be 1 or absent")
    .optional()
    .transform((text) => text === "1")
    .describe("whether webhooks may go to loopback: development alone"),
  WEBHOOK_RESOLVER: z
    .url({ protocol: /^https?$/, error: "must be an http(s) URL" })
    .default("https://cloudflare-dns.com/dns-query")
    .describe("a DNS-over-HTTPS resolver with JSON answers, which says where a webhook would go"),
});

/** The parsed variables. */
export type Config = z.infer<typeof Variables>;

/** The environment lacks a variable or holds a malformed one; the message says which, in a sentence. */
export class Misconfigured extends Error {}

const parsed = new WeakMap<object, Config>();

/** Parses the variables once per environment object. @throws {Misconfigured} */
export function readConfig(env: object): Config {
  const known = parsed.get(env);
  if (known) return known;
  const result = Variables.safeParse(env);
  if (!result.success) {
    const issue = result.error.issues[0];
    const name = String(issue?.path[0]) as keyof Config;
    const purpose = Variables.shape[name].description;
    const state =
      (env as Record<string, unknown>)[name] === undefined ? "is missing" : (issue?.message ?? "is malformed");
    throw new Misconfigured(`The variable ${name} (${purpose}) ${state}.`);
  }
  parsed.set(env, result.data);
  return result.data;
}
