import { GENERATION_MESSAGE_EXAMPLE, SECRET_EXAMPLE } from "./examples.ts";
import { atMost } from "./text.ts";
import { z } from "./zod.ts";

/** What a generation can end in, as its receivers are told. */
export const GENERATION_EVENTS = ["generation.succeeded", "generation.failed", "generation.canceled"] as const;
export const GenerationEventType = z.enum(GENERATION_EVENTS);
export type GenerationEventType = z.infer<typeof GenerationEventType>;

/** That another endpoint of the account was taken out of use. */
export const DISABLED_EVENT = "webhook_endpoint.disabled";

/** What an endpoint can ask for. */
export const EVENT_TYPES = [...GENERATION_EVENTS, DISABLED_EVENT] as const;
export const WebhookEventType = z.enum(EVENT_TYPES).openapi("WebhookEventType");
export type WebhookEventType = z.infer<typeof WebhookEventType>;

/** Sent on demand, whatever the endpoint asked for. */
export const TEST_EVENT = "webhook_endpoint.test";

const once = (events: readonly string[]) => new Set(events).size === events.length;
export const WebhookUrl = z.string().min(1).max(2000);

/** A generation's own receiver wants its ends. */
export const RequestEvents = z.array(GenerationEventType).min(1).refine(once, "Name each event once.");

const events = z.array(WebhookEventType).min(1).refine(once, "Name each event once.");

const ENDPOINT_EXAMPLE = {
  id: "whe_01jdd5m0000000000000000000",
  object: "webhook_endpoint",
  url: "https://example.com/vignette",
  events: ["generation.succeeded", "generation.failed"],
  description: "the shop",
  created_at: "2026-11-24T12:00:00.000Z",
  disabled: false,
  disabled_at: null,
  disabled_reason: null,
  previous_secret_until: null,
};

export const CreateWebhookEndpoint = z
  .strictObject({
    url: WebhookUrl,
    events: events.default([...EVENT_TYPES]).openapi({ description: "All, where none are named." }),
    description: atMost(200, z.string().trim()).default(""),
  })
  .openapi("CreateWebhookEndpoint", {
    example: {
      url: ENDPOINT_EXAMPLE.url,
      events: ENDPOINT_EXAMPLE.events,
      description: ENDPOINT_EXAMPLE.description,
    },
  });
export type CreateWebhookEndpoint = z.infer<typeof CreateWebhookEndpoint>;
export type CreateWebhookEndpointInput = z.input<typeof CreateWebhookEndpoint>;

export const UpdateWebhookEndpoint = z
  .strictObject({
    url: WebhookUrl.optional(),
    events: events.optional(),
    description: atMost(200, z.string().trim()).optional(),
    disabled: z
      .boolean()
      .optional()
      .openapi({ description: "`false` takes an endpoint that was disabled in use again." }),
  })
  .refine((change) => Object.keys(change).length > 0, "Name at least one field to change.")
  .openapi("UpdateWebhookEndpoint", { example: { disabled: false } });
export type UpdateWebhookEndpoint = z.infer<typeof UpdateWebhookEndpoint>;

export const WebhookEndpoint = z
  .object({
    id: z.string(),
    object: z.literal("webhook_endpoint"),
    url: z.string(),
    events: z.array(WebhookEventType),
    description: z.string(),
    created_at: z.string(),
    disabled: z.boolean(),
    disabled_at: z.string().nullable(),
    disabled_reason: z.enum(["by_you", "gone", "failing"]).nullable().openapi({
      description:
        "`gone`: it answered 410; `failing`: an event used up its attempts and nothing else arrived meanwhile.",
    }),
    previous_secret_until: z.string().nullable(),
  })
  .openapi("WebhookEndpoint", { example: ENDPOINT_EXAMPLE });
export type WebhookEndpoint = z.infer<typeof WebhookEndpoint>;

export const CreatedWebhookEndpoint = WebhookEndpoint.extend({
  secret: z.string().openapi({ description: "`whsec_` + base64: verifies the signatures. Shown this once." }),
}).openapi("CreatedWebhookEndpoint", { example: { ...ENDPOINT_EXAMPLE, secret: SECRET_EXAMPLE } });
export type CreatedWebhookEndpoint = z.infer<typeof CreatedWebhookEndpoint>;

export const WebhookEndpointList = z
  .object({ data: z.array(WebhookEndpoint), next_cursor: z.string().nullable() })
  .openapi("WebhookEndpointList", { example: { data: [ENDPOINT_EXAMPLE], next_cursor: null } });
export type WebhookEndpointList = z.infer<typeof WebhookEndpointList>;

export const RotateSecret = z
  .strictObject({
    overlap_seconds: z
      .int()
      .min(0)
      .max(7 * 24 * 3600)
      .default(24 * 3600)
      .openapi({ description: "How long messages are signed with the old secret too." }),
  })
  .openapi("RotateSecret", { example: { overlap_seconds: 86_400 } });
export type RotateSecret = z.infer<typeof RotateSecret>;

export const WebhookSecret = z
  .object({
    secret: z.string().openapi({ description: "`whsec_` + base64: verifies the signatures." }),
    previous_secret_until: z
      .string()
      .nullable()
      .openapi({ description: "Until when the secret before the last rotation signs too; null when it does not." }),
  })
  .openapi("WebhookSecret", { example: { secret: SECRET_EXAMPLE, previous_secret_until: null } });
export type WebhookSecret = z.infer<typeof WebhookSecret>;

const DELIVERY_EXAMPLE = {
  id: "msg_019ab5c0d2005f0c3d9e7a2b4c6d8e1f",
  object: "webhook_delivery",
  type: "generation.succeeded",
  url: ENDPOINT_EXAMPLE.url,
  generation: GENERATION_MESSAGE_EXAMPLE.data.id,
  status: "pending",
  attempts: 1,
  created_at: "2026-11-24T12:00:00.900Z",
  next_attempt_at: "2026-11-24T12:00:06.200Z",
  last_attempt_at: "2026-11-24T12:00:01.000Z",
  last_status: 503,
  last_error: "It answered 503.",
};

export const WebhookDelivery = z
  .object({
    id: z.string().openapi({ description: "The `webhook-id` of every attempt: receivers tell repeats by it." }),
    object: z.literal("webhook_delivery"),
    type: z.string(),
    url: z.string(),
    generation: z.string().nullable(),
    status: z.enum(["pending", "delivered", "failed"]),
    attempts: z.int(),
    created_at: z.string(),
    next_attempt_at: z.string().nullable(),
    last_attempt_at: z.string().nullable(),
    last_status: z.int().nullable().openapi({ description: "The HTTP status of the last answer." }),
    last_error: z.string().nullable(),
  })
  .openapi("WebhookDelivery", { example: DELIVERY_EXAMPLE });
export type WebhookDelivery = z.infer<typeof WebhookDelivery>;

export const WebhookDeliveryList = z
  .object({ data: z.array(WebhookDelivery), next_cursor: z.string().nullable() })
  .openapi("WebhookDeliveryList", { example: { data: [DELIVERY_EXAMPLE], next_cursor: null } });
export type WebhookDeliveryList = z.infer<typeof WebhookDeliveryList>;

/** The body of a message about a generation: thin, because the generation itself is one GET away. */
export const GenerationMessage = z
  .object({
    type: GenerationEventType,
    timestamp: z.string(),
    data: z.object({
      id: z.string(),
      status: z.string(),
      urls: z.object({ self: z.string() }),
      images: z.array(z.string()),
      user: z.string().nullable(),
      metadata: z.record(z.string(), z.string()),
    }),
  })
  .openapi("GenerationMessage", { example: GENERATION_MESSAGE_EXAMPLE });
export type GenerationMessage = z.infer<typeof GenerationMessage>;

/** The body of a message about another endpoint of the account. */
export const EndpointDisabledMessage = z
  .object({
    type: z.literal(DISABLED_EVENT),
    timestamp: z.string(),
    data: z.object({ id: z.string(), url: z.string(), reason: z.enum(["gone", "failing"]) }),
  })
  .openapi("EndpointDisabledMessage", {
    example: {
      type: DISABLED_EVENT,
      timestamp: "2026-11-24T12:00:00.000Z",
      data: { id: ENDPOINT_EXAMPLE.id, url: ENDPOINT_EXAMPLE.url, reason: "failing" },
    },
  });
export type EndpointDisabledMessage = z.infer<typeof EndpointDisabledMessage>;

/** The body of a message that somebody asked for. */
export const EndpointTestMessage = z
  .object({
    type: z.literal(TEST_EVENT),
    timestamp: z.string(),
    data: z.object({ id: z.string().openapi({ description: "The endpoint's own." }) }),
  })
  .openapi("EndpointTestMessage", {
    example: { type: TEST_EVENT, timestamp: "2026-11-24T12:00:00.000Z", data: { id: ENDPOINT_EXAMPLE.id } },
  });
export type EndpointTestMessage = z.infer<typeof EndpointTestMessage>;

const DELIVERY_ID = /^msg_[0-9a-f]{32}$/;
/** Whether a text has the form of a delivery's id. */
export const isDeliveryId = (text: string): boolean => DELIVERY_ID.test(text);

/** An id as the database makes them for deliveries: sortable by time. @param now milliseconds since 1970 */
export function newDeliveryId(now: number): string {
  const random = crypto.getRandomValues(new Uint8Array(10));
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `msg_${now.toString(16).padStart(12, "0")}${hex}`;
}
