import {
  DISABLED_EVENT,
  type EndpointDisabledMessage,
  GENERATION_EVENTS,
  newDeliveryId,
} from "../../contract/webhooks.ts";
import type { Deps } from "../deps.ts";
import type { DeliveryRow } from "../storage/webhook-deliveries.ts";
import type { EndpointRow } from "../storage/webhook-endpoints.ts";
import { nextAttempt } from "../webhooks/schedule.ts";
import { send } from "../webhooks/send.ts";
import { newSecret, secretsAt, signedHeaders } from "../webhooks/sign.ts";
import { forgetAccount } from "./authenticate.ts";
import type { Delivery } from "./consume.ts";
import { rfc3339, toGeneration } from "./view.ts";

/** Longer than an attempt can take: after this another sender may try. */
const CLAIM_MS = 60_000;
/** The longest that a queue holds a message back (developers.cloudflare.com/queues/platform/limits). */
const LONGEST_DELAY_S = 24 * 60 * 60;
const SWEEP_LIMIT = 500;
const KEEP_MS = 30 * 24 * 60 * 60 * 1000;

/** Begins to tell of generations' ends; the rows are there already, so what is lost here the cron finds. */
export function announce(deps: Deps, ...ids: string[]): void {
  const begin = async () => {
    for (const id of await deps.deliveries.ofGenerations(ids)) await deps.deliver(id);
  };
  deps.background(
    begin().catch((error: unknown) =>
      console.error(JSON.stringify({ event: "announce_failed", generations: ids, error: String(error) })),
    ),
  );
}

/** One queue message: tries one delivery, and puts the message off until the next attempt. */
export async function consumeDelivery(deps: Deps, message: Delivery): Promise<void> {
  const id = (message.body as { delivery?: unknown } | null)?.delivery;
  if (typeof id !== "string") return message.ack();
  try {
    const nextAt = await attempt(deps, id);
    const seconds = nextAt === null ? null : Math.ceil((nextAt - deps.now()) / 1000);
    // What is further away than a queue can hold, the cron brings.
    if (seconds === null || seconds > LONGEST_DELAY_S) message.ack();
    else message.retry({ delaySeconds: Math.max(0, seconds) });
  } catch (error) {
    console.error(JSON.stringify({ event: "delivery_failed", delivery: id, error: String(error) }));
    message.retry({ delaySeconds: 30 });
  }
}

/** The cron's part: what is due and has no message, and what is old. */
export async function sweepDeliveries(deps: Deps): Promise<void> {
  const now = deps.now();
  // A message may be on its way; its claim decides who sends.
  for (const id of await deps.deliveries.due(now, SWEEP_LIMIT)) await deps.deliver(id);
  await deps.deliveries.expire(now - KEEP_MS);
}

/** Tries a due delivery once. Answers when to try again, null when it is over. */
export async function attempt(deps: Deps, id: string): Promise<number | null> {
  const now = deps.now();
  const row = await deps.deliveries.claim(id, now, now + CLAIM_MS);
  if (!row) return deps.deliveries.dueAt(id);
  const endpoint = row.endpointId === null ? null : await deps.endpoints.find(row.accountId, row.endpointId);
  if (row.endpointId !== null && (!endpoint || endpoint.disabledAt !== null))
    return over(deps, row, { status: "failed", httpStatus: null, error: "The endpoint is not in use." });
  const secrets = endpoint ? secretsAt(endpoint, now) : await defaultSecrets(deps, row, now);
  if (secrets.length === 0)
    return over(deps, row, { status: "failed", httpStatus: null, error: "The account was erased." });
  const body = row.payload ?? (await payloadOf(deps, row));
  const headers = await signedHeaders(row.id, body, secrets, now);
  const outcome = await send(endpoint?.url ?? row.url, body, headers, deps.webhooks);
  if (outcome.kind === "delivered")
    return over(deps, row, { status: "delivered", httpStatus: outcome.status, error: null });
  if (outcome.kind === "gone") {
    await over(deps, row, { status: "failed", httpStatus: outcome.status, error: "It wants no more messages." });
    if (endpoint) await disable(deps, endpoint, "gone");
    return null;
  }
  const { status: httpStatus, error } = outcome;
  const nextAt = nextAttempt(row.attempts + 1, deps.now(), deps.random(), outcome.retryAfter);
  if (nextAt !== null) {
    await deps.deliveries.attempted(row, { at: deps.now(), status: "pending", nextAt, httpStatus, error });
    return nextAt;
  }
  await over(deps, row, { status: "failed", httpStatus, error });
  // Nothing else arrived in all that time: it is not this message that is at fault. A notice may be, to who knows none.
  if (endpoint && row.type !== DISABLED_EVENT && (endpoint.deliveredAt ?? 0) < row.createdAt)
    await disable(deps, endpoint, "failing");
  return null;
}

async function over(
  deps: Deps,
  row: DeliveryRow,
  end: { status: "delivered" | "failed"; httpStatus: number | null; error: string | null },
): Promise<null> {
  const at = deps.now();
  await deps.deliveries.attempted(row, { ...end, at, nextAt: at });
  return null;
}

/** Takes an endpoint out of use, and tells the account's others that asked for such news. */
async function disable(deps: Deps, { id, accountId, url }: EndpointRow, reason: "gone" | "failing"): Promise<void> {
  const now = deps.now();
  if (!(await deps.endpoints.disable(id, reason, now))) return;
  forgetAccount(deps, accountId);
  console.warn(JSON.stringify({ event: "webhook_endpoint_disabled", endpoint: id, account: accountId, reason }));
  const message: EndpointDisabledMessage = {
    type: DISABLED_EVENT,
    timestamp: rfc3339(now),
    data: { id, url, reason },
  };
  const payload = JSON.stringify(message);
  for (const other of await deps.endpoints.list(accountId, 100)) {
    if (other.disabledAt !== null || !other.events.includes(DISABLED_EVENT)) continue;
    const delivery = newDeliveryId(now);
    await deps.deliveries.insert({
      id: delivery,
      accountId,
      endpointId: other.id,
      url: other.url,
      type: DISABLED_EVENT,
      payload,
      createdAt: now,
    });
    await deps.deliver(delivery);
  }
}

/** The body, made once and kept. A generation that was deleted meanwhile is told of by its id and end. */
async function payloadOf(deps: Deps, { id, generationId, type, createdAt }: DeliveryRow): Promise<string> {
  const row = generationId === null ? null : await deps.generations.load(generationId);
  const images = row ? ((await deps.images.of([row.id])).get(row.id) ?? []) : [];
  const shown = row && toGeneration(row, images, { publicUrl: deps.config.PUBLIC_URL });
  const body = JSON.stringify({
    type,
    timestamp: rfc3339(createdAt),
    data: {
      id: generationId,
      status: type.slice(GENERATION_EVENTS[0].indexOf(".") + 1),
      urls: { self: `${deps.config.PUBLIC_URL}/v1/generations/${generationId}` },
      images: shown?.images.map(({ url }) => url) ?? [],
      user: shown?.user ?? null,
      metadata: shown?.metadata ?? {},
    },
  });
  await deps.deliveries.keep(id, body);
  return body;
}

/** What signs a message to a request's own URL; nothing where the account was erased. */
async function defaultSecrets(deps: Deps, { accountId }: DeliveryRow, now: number): Promise<string[]> {
  const signing = await deps.endpoints.defaultSecret(accountId, newSecret());
  return signing === null ? [] : secretsAt(signing, now);
}
