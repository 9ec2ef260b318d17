import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Account, UpdateAccount } from "../../contract/accounts.ts";
import { Usage, UsageQuery } from "../../contract/usage.ts";
import { z } from "../../contract/zod.ts";
import type { AppEnv } from "../context.ts";
import { authorize } from "../middleware/authorize.ts";
import { jsonBody } from "../middleware/json-body.ts";
import { eraseAccount, getAccount, updateAccount } from "../services/accounts.ts";
import { usageOf } from "../services/usage.ts";
import { json, problems, secured } from "./shared.ts";

const read = createRoute({
  method: "get",
  path: "/v1/account",
  summary: "Your account and its limits",
  ...secured("admin"),
  middleware: [authorize("admin")] as const,
  request: {
    query: z.strictObject({
      account: z.string().max(64).optional().openapi({ description: "Operators only: another account." }),
    }),
  },
  responses: { 200: json(Account, "The account."), ...problems(401, 403, 404, 422) },
});

const update = createRoute({
  method: "patch",
  path: "/v1/account",
  summary: "Change an account's limits, and how long it keeps things",
  description:
    "An account sets `concurrent_per_user` and `images_per_day_per_user` itself; the others are its operator's.",
  ...secured("admin"),
  middleware: [authorize("admin"), jsonBody()] as const,
  request: { body: { required: true, content: { "application/json": { schema: UpdateAccount } } } },
  responses: { 200: json(Account, "As it is now."), ...problems(400, 401, 403, 404, 409, 413, 415, 422) },
});

const erase = createRoute({
  method: "delete",
  path: "/v1/account",
  summary: "Erase an account",
  description:
    "Its keys end at once; generations with their prompts and pictures, cached answers, webhook endpoints, messages and " +
    "policy are removed within minutes. What it used per day stays, without prompts. There is no way back.",
  ...secured("admin"),
  middleware: [authorize("admin")] as const,
  request: {
    query: z.strictObject({
      account: z.string().max(64).optional().openapi({ description: "Operators only: another account." }),
      confirm: z.string().max(64).openapi({ description: "The account's id." }),
    }),
  },
  responses: { 202: json(Account, "It is being erased."), ...problems(401, 403, 404, 409, 422) },
});

const usage = createRoute({
  method: "get",
  path: "/v1/usage",
  summary: "What was drawn per day, and what is left",
  ...secured("read"),
  middleware: [authorize("read")] as const,
  request: { query: UsageQuery },
  responses: { 200: json(Usage, "Days and quotas."), ...problems(401, 403, 422, 429) },
});

export function registerAccount(app: OpenAPIHono<AppEnv>): void {
  app.openapi(read, async (c) =>
    c.json(await getAccount(c.get("deps"), c.get("key"), c.req.valid("query").account), 200),
  );
  app.openapi(update, async (c) => c.json(await updateAccount(c.get("deps"), c.get("key"), c.req.valid("json")), 200));
  app.openapi(erase, async (c) => c.json(await eraseAccount(c.get("deps"), c.get("key"), c.req.valid("query")), 202));
  app.openapi(usage, async (c) => c.json(await usageOf(c.get("deps"), c.get("key"), c.req.valid("query")), 200));
}
