import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { PageQuery } from "../../contract/generation.ts";
import {
  CreatedWebhookEndpoint,
  CreateWebhookEndpoint,
  DISABLED_EVENT,
  EndpointDisabledMessage,
  EndpointTestMessage,
  GENERATION_EVENTS,
  GenerationMessage,
  RotateSecret,
  TEST_EVENT,
  UpdateWebhookEndpoint,
  WebhookDelivery,
  WebhookDeliveryList,
  WebhookEndpoint,
  WebhookEndpointList,
  WebhookSecret,
} from "../../contract/webhooks.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { getDefaultSecret, rotateDefaultSecret } from "../services/default-secret.ts";
import {
  createEndpoint,
  deleteEndpoint,
  getEndpoint,
  listDeliveries,
  listEndpoints,
  redeliver,
  rotateSecret,
  testEndpoint,
  updateEndpoint,
} from "../services/webhook-endpoints.ts";
import { idParams, json, problems, SignatureHeaders, secured } from "./shared.ts";

const PATH = "/v1/webhook-endpoints";
const keyed = { ...secured("webhooks"), middleware: [authorize("webhooks")] };
const written = { ...secured("webhooks"), middleware: [authorize("webhooks"), jsonBody()] };
const body = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true,
  content: { "application/json": { schema } },
});
const deliveryParams = z.object({ id: z.string(), delivery: z.string() });
const receiver = "`requests` as the id names what went to requests' own `webhook_url`.";

const create = createRoute({
  method: "post",
  path: PATH,
  summary: "Be told of the ends of generations",
  description:
    "Messages follow Standard Webhooks. Their order is not promised, and one may come twice under the same `webhook-id`.",
  ...written,
  request: { body: body(CreateWebhookEndpoint) },
  responses: {
    201: json(CreatedWebhookEndpoint, "The endpoint, its secret shown this once."),
    ...problems(400, 401, 403, 409, 413, 415, 422),
  },
});
const list = createRoute({
  method: "get",
  path: PATH,
  summary: "Your endpoints, newest first",
  ...keyed,
  request: { query: PageQuery },
  responses: { 200: json(WebhookEndpointList, "A page."), ...problems(401, 403, 422) },
});
const secret = createRoute({
  method: "get",
  path: `${PATH}/default-secret`,
  summary: "The secret that signs messages to a request's own `webhook_url`",
  ...keyed,
  responses: { 200: json(WebhookSecret, "The same for all of the account's requests."), ...problems(401, 403, 409) },
});
const rotateDefault = createRoute({
  method: "post",
  path: `${PATH}/default-secret/rotate`,
  summary: "Give requests' own URLs a new secret",
  description: "Messages carry a signature for each of both secrets until the overlap ends.",
  ...written,
  request: { body: body(RotateSecret) },
  responses: {
    200: json(WebhookSecret, "The new one."),
    ...problems(400, 401, 403, 409, 413, 415, 422),
  },
});
const read = createRoute({
  method: "get",
  path: `${PATH}/{id}`,
  summary: "One endpoint",
  ...keyed,
  request: { params: idParams },
  responses: { 200: json(WebhookEndpoint, "The endpoint without its secret."), ...problems(401, 403, 404) },
});
const update = createRoute({
  method: "patch",
  path: `${PATH}/{id}`,
  summary: "Change an endpoint, take it out of use or in use again",
  ...written,
  request: { params: idParams, body: body(UpdateWebhookEndpoint) },
  responses: { 200: json(WebhookEndpoint, "As it is now."), ...problems(400, 401, 403, 404, 413, 415, 422) },
});
const remove = createRoute({
  method: "delete",
  path: `${PATH}/{id}`,
  summary: "Delete an endpoint with its delivery log",
  ...keyed,
  request: { params: idParams },
  responses: { 204: { description: "Nothing more is sent there." }, ...problems(401, 403, 404) },
});
const rotate = createRoute({
  method: "post",
  path: `${PATH}/{id}/rotate-secret`,
  summary: "Give an endpoint a new secret",
  description: "Messages carry a signature for each of both secrets until the overlap ends.",
  ...written,
  request: { params: idParams, body: body(RotateSecret) },
  responses: {
    200: json(CreatedWebhookEndpoint, "The endpoint with its new secret, shown this once."),
    ...problems(400, 401, 403, 404, 413, 415, 422),
  },
});
const test = createRoute({
  method: "post",
  path: `${PATH}/{id}/test`,
  summary: "Send a test event",
  ...keyed,
  request: { params: idParams },
  responses: {
    202: json(WebhookDelivery, "Its delivery; the log shows what becomes of it."),
    ...problems(401, 403, 404),
  },
});
const deliveries = createRoute({
  method: "get",
  path: `${PATH}/{id}/deliveries`,
  summary: "What was sent, newest first",
  description: `Kept for 30 days. ${receiver}`,
  ...keyed,
  request: { params: idParams, query: PageQuery },
  responses: { 200: json(WebhookDeliveryList, "A page."), ...problems(401, 403, 404, 422) },
});
const again = createRoute({
  method: "post",
  path: `${PATH}/{id}/deliveries/{delivery}/redeliver`,
  summary: "Send an ended delivery again",
  description: `The same body under the same \`webhook-id\`. ${receiver}`,
  ...keyed,
  request: { params: deliveryParams },
  responses: { 202: json(WebhookDelivery, "As it is now."), ...problems(401, 403, 404, 409) },
});

/** Every message that an endpoint can get. */
const MESSAGES = [
  ...GENERATION_EVENTS.map((path) => ({
    path,
    summary: `A generation ${path === "generation.canceled" ? "was canceled" : `has ${path.split(".")[1]}`}`,
    schema: GenerationMessage,
  })),
  {
    path: DISABLED_EVENT,
    summary: "Another endpoint of the account was taken out of use",
    schema: EndpointDisabledMessage,
  },
  { path: TEST_EVENT, summary: "Somebody asked for a test", schema: EndpointTestMessage },
];

/** Endpoints that are told of generations' ends. */
export function registerWebhookEndpoints(app: OpenAPIHono<AppEnv>): void {
  for (const { path, summary, schema } of MESSAGES)
    app.openAPIRegistry.registerWebhook({
      method: "post",
      path,
      summary,
      request: { headers: SignatureHeaders, body: body(schema) },
      responses: {
        204: { description: "Taken; any 2xx does. Do the work afterwards." },
        410: { description: "No more: the endpoint is taken out of use." },
      },
    });
  app.openapi(create, async (c) => {
    c.header("Cache-Control", "no-store");
    return c.json(await createEndpoint(c.get("deps"), c.get("key").accountId, c.req.valid("json")), 201);
  });
  app.openapi(list, async (c) =>
    c.json(await listEndpoints(c.get("deps"), c.get("key").accountId, c.req.valid("query")), 200),
  );
  app.openapi(secret, async (c) => {
    c.header("Cache-Control", "no-store");
    return c.json(await getDefaultSecret(c.get("deps"), c.get("key").accountId), 200);
  });
  app.openapi(rotateDefault, async (c) => {
    c.header("Cache-Control", "no-store");
    return c.json(await rotateDefaultSecret(c.get("deps"), c.get("key").accountId, c.req.valid("json")), 200);
  });
  app.openapi(read, async (c) =>
    c.json(await getEndpoint(c.get("deps"), c.get("key").accountId, c.req.valid("param").id), 200),
  );
  app.openapi(update, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(await updateEndpoint(c.get("deps"), c.get("key").accountId, id, c.req.valid("json")), 200);
  });
  app.openapi(remove, async (c) => {
    await deleteEndpoint(c.get("deps"), c.get("key").accountId, c.req.valid("param").id);
    return c.body(null, 204);
  });
  app.openapi(rotate, async (c) => {
    c.header("Cache-Control", "no-store");
    const { id } = c.req.valid("param");
    return c.json(await rotateSecret(c.get("deps"), c.get("key").accountId, id, c.req.valid("json")), 200);
  });
  app.openapi(test, async (c) =>
    c.json(await testEndpoint(c.get("deps"), c.get("key").accountId, c.req.valid("param").id), 202),
  );
  app.openapi(deliveries, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(await listDeliveries(c.get("deps"), c.get("key").accountId, id, c.req.valid("query")), 200);
  });
  app.openapi(again, async (c) => {
    const { id, delivery } = c.req.valid("param");
    return c.json(await redeliver(c.get("deps"), c.get("key").accountId, id, delivery), 202);
  });
}
