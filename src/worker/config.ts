import { z } from "../contract/zod.ts";
import { DEFAULT_RUNNER, httpUrl, type RunnerSettings, Runners, webhookSecret } from "./runner/settings.ts";

const seconds = z.coerce.number("must be a number of seconds").int().min(1).max(86_400).default(600);

const days = z.coerce.number("must be a number of days").int().min(1).max(3_650).optional();

/** The three that describe one runner of ours. */
const OWN_RUNNER = ["RUNNER_URL", "RUNNER_TOKEN", "RUNNER_WEBHOOK_SECRET"] as const;

// There is no CACHE_KEY: what is cached is an account's own, under a SHA-256 of its id and the request, in D1 alone.
const Fields = z.object({
  RUNNER_URL: httpUrl.optional().describe("where the runner answers, without /v1"),
  RUNNER_TOKEN: z.string().min(1, "must not be empty").optional().describe("the bearer token that the runner expects"),
  RUNNER_WEBHOOK_SECRET: webhookSecret.optional().describe("what the runner signs its callbacks with"),
  RUNNERS: Runners.optional().describe("further runners, as JSON: docs/runners.md"),
  PUBLIC_URL: httpUrl.describe("where the runner and the clients reach this edge"),
  HANDOVER_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .max(86_400)
    // A little longer than one call to a runner may take.
    .default(11)
    .describe("when a generation is looked for whose isolate may have died with it in hand"),
  QUEUE_DEADLINE_SECONDS: seconds.describe("how long a generation may wait for a runner"),
  RUN_DEADLINE_SECONDS: seconds.describe("how long a runner may draw"),
  IMAGES_DAYS: days.describe("after how many days pictures are removed, where an account says nothing"),
  GENERATIONS_DAYS: days.describe("after how many days generations are removed, where an account says nothing"),
  ALLOW_LOCAL_WEBHOOKS: z
    .enum(["", "0", "1"], "must be 1 or absent")
    .optional()
    .transform((text) => text === "1")
    .describe("whether webhooks may go to loopback: development alone"),
  WEBHOOK_PORTS: z
    .string()
    .regex(/^\d{1,5}(,\d{1,5})*$/, "must be port numbers, separated by commas")
    .default("443,8443")
    .transform((text) => text.split(",").map(Number))
    .describe("on which ports webhooks may be received"),
  WEBHOOK_RESOLVER: z
    .url({ protocol: /^https?$/, error: "must be an http(s) URL" })
    .default("https://cloudflare-dns.com/dns-query")
    .describe("a DNS-over-HTTPS resolver with JSON answers, which says where a webhook would go"),
});

const Variables = Fields.superRefine((variables, context) => {
  if (variables.RUNNERS && OWN_RUNNER.every((name) => variables[name] === undefined)) return;
  for (const name of OWN_RUNNER)
    if (variables[name] === undefined) context.addIssue({ code: "custom", path: [name], message: "is missing" });
}).transform((variables) => ({ ...variables, runners: runnersOf(variables) }));

/** Every runner, the preferred one first. */
function runnersOf({
  RUNNER_URL: url,
  RUNNER_TOKEN: token,
  RUNNER_WEBHOOK_SECRET: webhook_secret,
  RUNNERS = [],
}: z.infer<typeof Fields>): RunnerSettings[] {
  if (!url || !token || !webhook_secret) return RUNNERS;
  return [{ name: DEFAULT_RUNNER, kind: "vignette", url, token, webhook_secret }, ...RUNNERS];
}

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
    const [name, ...inside] = (issue?.path ?? []).map(String);
    const purpose = Fields.shape[name as keyof typeof Fields.shape].description;
    const missing = (env as Record<string, unknown>)[name ?? ""] === undefined;
    const state = missing ? "is missing" : (issue?.message ?? "is malformed");
    const at = inside.length > 0 ? `at ${inside.join(".")}: ` : "";
    throw new Misconfigured(`The variable ${name} (${purpose}) ${at}${state}.`);
  }
  parsed.set(env, result.data);
  return result.data;
}
