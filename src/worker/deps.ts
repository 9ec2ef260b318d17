import { type Config, readConfig } from "./config.ts";
import type { Bindings } from "./env.ts";
import { type Live, liveOf } from "./generation/live.ts";
import { type Limits, limitsOf } from "./limits/limits.ts";
import { type Counts, meterD1, meterObjects, meterQueue, meterR2, noCounts } from "./observe/meter.ts";
import { type Metrics, metricsOf } from "./observe/metrics.ts";
import { type Runners, runnersOf } from "./runner/runners.ts";
import { type AccountStore, accountStore } from "./storage/accounts.ts";
import { type FeedbackStore, feedbackStore } from "./storage/feedback.ts";
import { type GenerationStore, generationStore } from "./storage/generations.ts";
import { type IdempotencyStore, idempotencyStore } from "./storage/idempotency.ts";
import { type ImageStore, imageStore } from "./storage/images.ts";
import { type KeyStore, keyStore } from "./storage/keys.ts";
import { type ObjectStore, objectStore } from "./storage/objects.ts";
import { type PolicyStore, policyStore } from "./storage/policies.ts";
import { type ProfileStore, profileStore } from "./storage/profiles.ts";
import { type RetentionStore, retentionStore } from "./storage/retention.ts";
import { type ReuseStore, reuseStore } from "./storage/reuse.ts";
import { type RunnerStore, runnerStore } from "./storage/runners.ts";
import { type ShareStore, shareStore } from "./storage/shares.ts";
import { type UsageStore, usageStore } from "./storage/usage.ts";
import { type DeliveryStore, deliveryStore } from "./storage/webhook-deliveries.ts";
import { type EndpointStore, endpointStore } from "./storage/webhook-endpoints.ts";
import { dnsOverHttps } from "./webhooks/resolve.ts";
import type { SendOptions } from "./webhooks/send.ts";

/** Everything a service may touch: it takes this and its input, and knows neither HTTP nor bindings. */
export interface Deps {
  config: Config;
  /** Milliseconds since 1970. */
  now: () => number;
  /** 0 to 1, below 1. */
  random: () => number;
  /** What this request, message or alarm has cost so far. */
  counts: Counts;
  metrics: Metrics;
  generations: GenerationStore;
  images: ImageStore;
  feedback: FeedbackStore;
  keys: KeyStore;
  accounts: AccountStore;
  shares: ShareStore;
  usage: UsageStore;
  policies: PolicyStore;
  profiles: ProfileStore;
  retention: RetentionStore;
  limits: Limits;
  reuse: ReuseStore;
  idempotency: IdempotencyStore;
  runnerRows: RunnerStore;
  objects: ObjectStore;
  endpoints: EndpointStore;
  deliveries: DeliveryStore;
  /** How webhooks leave. */
  webhooks: SendOptions;
  runners: Runners;
  live: (id: string) => Live;
  /** Puts a generation in line for a runner. */
  enqueue: (id: string, delaySeconds?: number) => Promise<void>;
  /** Looks after a new generation, should its maker not have handed it on by then. */
  spreadNet: (id: string, delaySeconds: number) => Promise<void>;
  /** Puts a webhook's delivery in line. */
  deliver: (id: string) => Promise<void>;
  /** Work that may end after the answer. */
  background: (work: Promise<unknown>) => void;
}

// Looked up at each call: a bound global would be an illegal invocation in workerd.
const fetcher: typeof fetch = (input, init) => globalThis.fetch(input, init);

/** Clients of the runners hold nothing of a request, and are costly to make. */
const runnersByConfig = new WeakMap<Config, Runners>();
function runnersOfConfig(config: Config): Runners {
  const known = runnersByConfig.get(config);
  if (known) return known;
  const runners = runnersOf(config.runners, fetcher);
  runnersByConfig.set(config, runners);
  return runners;
}

/** @throws {import("./config.ts").Misconfigured} */
export function makeDeps(env: Bindings, ctx: { waitUntil(work: Promise<unknown>): void }): Deps {
  const config = readConfig(env);
  const now = () => Date.now();
  const counts = noCounts();
  const db = meterD1(env.DB, counts);
  const queues = { generations: meterQueue(env.GENERATIONS, counts), webhooks: meterQueue(env.WEBHOOKS, counts) };
  return {
    config,
    now,
    random: () => Math.random(),
    counts,
    metrics: metricsOf(env.METRICS),
    generations: generationStore(db),
    images: imageStore(db),
    feedback: feedbackStore(db),
    keys: keyStore(db),
    accounts: accountStore(db),
    shares: shareStore(db),
    usage: usageStore(db),
    policies: policyStore(db),
    profiles: profileStore(db),
    retention: retentionStore(db),
    limits: limitsOf(env, meterObjects(env.LIMITS, counts)),
    reuse: reuseStore(db),
    idempotency: idempotencyStore(db),
    runnerRows: runnerStore(db),
    objects: objectStore(meterR2(env.IMAGES, counts)),
    endpoints: endpointStore(db),
    deliveries: deliveryStore(db),
    webhooks: {
      allowLocal: config.ALLOW_LOCAL_WEBHOOKS,
      ports: config.WEBHOOK_PORTS,
      ownHost: new URL(config.PUBLIC_URL).hostname,
      resolve: dnsOverHttps(config.WEBHOOK_RESOLVER, fetcher),
      fetch: fetcher,
    },
    runners: runnersOfConfig(config),
    live: liveOf(meterObjects(env.GENERATION, counts), now),
    async enqueue(id, delaySeconds = 0) {
      await queues.generations.send({ id }, { delaySeconds });
    },
    async spreadNet(id, delaySeconds) {
      await queues.generations.send({ id, net: true }, { delaySeconds });
    },
    async deliver(id) {
      await queues.webhooks.send({ delivery: id });
    },
    background: (work) => ctx.waitUntil(work),
  };
}
