import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { ModerationRequest, ModerationVerdict, Policy, SetPolicy } from "../../contract/policy.ts";
import { RotateSecret } from "../../contract/webhooks.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { getPolicy, removePolicy, rotatePolicySecret, setPolicy } from "../services/policies.ts";
import { json, problems, SignatureHeaders, secured } from "./shared.ts";

const query = z.strictObject({
  account: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .openapi({ description: "Operators only: another account, or `*` for what holds for every account." }),
});

const read = createRoute({
  method: "get",
  path: "/v1/policy",
  summary: "Which prompts are taken",
  ...secured("admin"),
  middleware: [authorize("admin")] as const,
  request: { query },
  responses: { 200: json(Policy, "The account's own policy."), ...problems(401, 403, 422) },
});

const replace = createRoute({
  method: "put",
  path: "/v1/policy",
  summary: "Set which prompts are taken",
  description:
    "Replaces the whole policy. It holds within 30 s everywhere, beside what an operator set for every account. " +
    "Word lists are no safety filter: they know words, not meanings; that is what `moderation` is for.",
  ...secured("admin"),
  middleware: [authorize("admin"), jsonBody()] as const,
  request: { query, body: { required: true, content: { "application/json": { schema: SetPolicy } } } },
  responses: { 200: json(Policy, "As it is now."), ...problems(400, 401, 403, 404, 413, 415, 422) },
});

const rotate = createRoute({
  method: "post",
  path: "/v1/policy/rotate-secret",
  summary: "Give the moderation hook a new secret",
  description: "It is asked with a signature for each of both secrets until the overlap ends.",
  ...secured("admin"),
  middleware: [authorize("admin"), jsonBody()] as const,
  request: { query, body: { required: true, content: { "application/json": { schema: RotateSecret } } } },
  responses: {
    200: json(Policy, "The policy with its new secret."),
    ...problems(400, 401, 403, 404, 413, 415, 422),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/policy",
  summary: "Take every prompt again",
  ...secured("admin"),
  middleware: [authorize("admin")] as const,
  request: { query },
  responses: { 204: { description: "There is no policy now." }, ...problems(401, 403, 422) },
});

export function registerPolicy(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerWebhook({
    method: "post",
    path: "prompt.moderation",
    summary: "May this be drawn?",
    description: "Asked of a policy's `moderation.url` before anything is counted or drawn.",
    request: {
      headers: SignatureHeaders,
      body: { required: true, content: { "application/json": { schema: ModerationRequest } } },
    },
    responses: { 200: json(ModerationVerdict, "The verdict; any other answer is none.") },
  });
  app.openapi(read, async (c) =>
    c.json(await getPolicy(c.get("deps"), c.get("key"), c.req.valid("query").account), 200),
  );
  app.openapi(replace, async (c) =>
    c.json(await setPolicy(c.get("deps"), c.get("key"), c.req.valid("json"), c.req.valid("query").account), 200),
  );
  app.openapi(rotate, async (c) => {
    c.header("Cache-Control", "no-store");
    const { account } = c.req.valid("query");
    return c.json(await rotatePolicySecret(c.get("deps"), c.get("key"), c.req.valid("json"), account), 200);
  });
  app.openapi(remove, async (c) => {
    await removePolicy(c.get("deps"), c.get("key"), c.req.valid("query").account);
    return c.body(null, 204);
  });
}
