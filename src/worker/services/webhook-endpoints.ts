import { newId } from "../../contract/ids.ts";
import {
  type CreatedWebhookEndpoint,
  type CreateWebhookEndpoint,
  type EndpointTestMessage,
  newDeliveryId,
  type RotateSecret,
  TEST_EVENT,
  type UpdateWebhookEndpoint,
  type WebhookDelivery,
  type WebhookDeliveryList,
  type WebhookEndpoint,
  type WebhookEndpointList,
} from "../../contract/webhooks.ts";
import type { Deps } from "../deps.ts";
import { invalid, Refusal } from "../refusal.ts";
import type { DeliveryRow } from "../storage/webhook-deliveries.ts";
import type { EndpointRow } from "../storage/webhook-endpoints.ts";
import { faultOfUrl } from "../webhooks/guard.ts";
import { newSecret, overlapUntil } from "../webhooks/sign.ts";
import { forgetAccount } from "./authenticate.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { rfc3339 } from "./view.ts";

const MOST_ENDPOINTS = 20;
/** Stands in a path for the receivers that requests named themselves. */
export const REQUESTS_OWN = "requests";

type Page = { limit: number; cursor?: string | undefined };

/** @throws {Refusal} invalid_request when no message could ever be sent there */
export function requireReceiver(deps: Deps, url: string, pointer: string): void {
  const fault = faultOfUrl(url, deps.webhooks);
  if (fault) throw invalid([{ pointer, detail: fault }]);
}

/** Makes an endpoint; the answer is the only place where its secret appears. */
export async function createEndpoint(
  deps: Deps,
  accountId: string,
  { url, events, description }: CreateWebhookEndpoint,
): Promise<CreatedWebhookEndpoint> {
  requireReceiver(deps, url, "#/url");
  const now = deps.now();
  const row: EndpointRow = {
    id: newId("whe", now),
    accountId,
    url,
    description,
    events,
    secret: newSecret(),
    previousSecret: null,
    previousUntil: null,
    createdAt: now,
    deliveredAt: null,
    disabledAt: null,
    disabledReason: null,
  };
  if (!(await deps.endpoints.insert(row, MOST_ENDPOINTS)))
    throw new Refusal("too_many_endpoints", `An account has ${MOST_ENDPOINTS} endpoints at most; delete one first.`);
  return { ...toEndpoint(row, now), secret: row.secret };
}

export async function listEndpoints(
  deps: Deps,
  accountId: string,
  { limit, cursor }: Page,
): Promise<WebhookEndpointList> {
  const before = cursor === undefined ? undefined : readCursor("whe", cursor);
  const rows = await deps.endpoints.list(accountId, limit + 1, before);
  return page(rows, limit, (row) => toEndpoint(row, deps.now()));
}

export async function getEndpoint(deps: Deps, accountId: string, id: string): Promise<WebhookEndpoint> {
  return toEndpoint(found(await deps.endpoints.find(accountId, id)), deps.now());
}

export async function updateEndpoint(
  deps: Deps,
  accountId: string,
  id: string,
  change: UpdateWebhookEndpoint,
): Promise<WebhookEndpoint> {
  if (change.url !== undefined) requireReceiver(deps, change.url, "#/url");
  const now = deps.now();
  const { url = null, events = null, description = null, disabled = null } = change;
  const row = found(await deps.endpoints.update(accountId, id, { url, events, description, disabled }, now));
  forgetAccount(deps, accountId);
  return toEndpoint(row, now);
}

export async function deleteEndpoint(deps: Deps, accountId: string, id: string): Promise<void> {
  if (!(await deps.endpoints.remove(accountId, id))) throw missing();
  forgetAccount(deps, accountId);
}

/** A new secret; messages are signed with both until the overlap ends. */
export async function rotateSecret(
  deps: Deps,
  accountId: string,
  id: string,
  { overlap_seconds }: RotateSecret,
): Promise<CreatedWebhookEndpoint> {
  const now = deps.now();
  const row = found(await deps.endpoints.rotate(accountId, id, newSecret(), now + overlap_seconds * 1000));
  return { ...toEndpoint(row, now), secret: row.secret };
}

/** Sends a test event to it, whatever it asked for. */
export async function testEndpoint(deps: Deps, accountId: string, id: string): Promise<WebhookDelivery> {
  const { url } = found(await deps.endpoints.find(accountId, id));
  const now = deps.now();
  const message: EndpointTestMessage = { type: TEST_EVENT, timestamp: rfc3339(now), data: { id } };
  const row = {
    id: newDeliveryId(now),
    accountId,
    endpointId: id,
    url,
    type: TEST_EVENT,
    payload: JSON.stringify(message),
    createdAt: now,
  };
  await deps.deliveries.insert(row);
  await deps.deliver(row.id);
  return toDelivery({
    ...row,
    generationId: null,
    status: "pending",
    attempts: 0,
    nextAt: now,
    lastAt: null,
    lastStatus: null,
    lastError: null,
  });
}

/** The delivery log, newest first. */
export async function listDeliveries(
  deps: Deps,
  accountId: string,
  id: string,
  { limit, cursor }: Page,
): Promise<WebhookDeliveryList> {
  const endpointId = await receiverOf(deps, accountId, id);
  const before = cursor === undefined ? undefined : readCursor("msg", cursor);
  return page(await deps.deliveries.list(accountId, endpointId, limit + 1, before), limit, toDelivery);
}

/** Sends an ended delivery again, under its own id, so that the receiver knows a repeat. */
export async function redeliver(
  deps: Deps,
  accountId: string,
  id: string,
  deliveryId: string,
): Promise<WebhookDelivery> {
  const endpointId = await receiverOf(deps, accountId, id);
  const row = await deps.deliveries.again(accountId, endpointId, deliveryId, deps.now());
  if (row) {
    await deps.deliver(row.id);
    return toDelivery(row);
  }
  if (await deps.deliveries.find(accountId, endpointId, deliveryId))
    throw new Refusal("delivery_pending", "This delivery is still being tried; it is sent again by itself.");
  throw new Refusal("not_found", "There is no such delivery; it may be older than 30 days.");
}

async function receiverOf(deps: Deps, accountId: string, id: string): Promise<string | null> {
  return id === REQUESTS_OWN ? null : found(await deps.endpoints.find(accountId, id)).id;
}

function page<Row extends { id: string }, Shown>(rows: Row[], limit: number, show: (row: Row) => Shown) {
  const shown = rows.slice(0, limit);
  return { data: shown.map(show), next_cursor: rows.length > limit ? writeCursor(shown.at(-1)?.id ?? "") : null };
}

function found(row: EndpointRow | null): EndpointRow {
  if (!row) throw missing();
  return row;
}

const missing = () => new Refusal("not_found", "There is no such endpoint; GET /v1/webhook-endpoints lists yours.");

function toEndpoint(row: EndpointRow, now: number): WebhookEndpoint {
  return {
    id: row.id,
    object: "webhook_endpoint",
    url: row.url,
    events: row.events,
    description: row.description,
    created_at: rfc3339(row.createdAt),
    disabled: row.disabledAt !== null,
    disabled_at: rfc3339(row.disabledAt),
    disabled_reason: row.disabledReason,
    previous_secret_until: rfc3339(overlapUntil(row, now)),
  };
}

function toDelivery(row: DeliveryRow): WebhookDelivery {
  return {
    id: row.id,
    object: "webhook_delivery",
    type: row.type,
    url: row.url,
    generation: row.generationId,
    status: row.status,
    attempts: row.attempts,
    created_at: rfc3339(row.createdAt),
    next_attempt_at: row.status === "pending" ? rfc3339(row.nextAt) : null,
    last_attempt_at: rfc3339(row.lastAt),
    last_status: row.lastStatus,
    last_error: row.lastError,
  };
}
