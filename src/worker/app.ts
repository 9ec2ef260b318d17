import { OpenAPIHono } from "@hono/zod-openapi";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { AppContext, AppEnv } from "./context.ts";
import { request } from "./middleware/request.ts";
import { onError, onInvalid, onMethodNotAllowed, onNotFound } from "./problems.ts";
import { registerAccount } from "./routes/account.ts";
import { registerDiscord } from "./routes/discord.ts";
import { registerDocs } from "./routes/docs.ts";
import { registerEvents } from "./routes/events.ts";
import { registerGenerations } from "./routes/generations.ts";
import { registerGroups } from "./routes/groups.ts";
import { registerImages } from "./routes/images.ts";
import { registerKeys } from "./routes/keys.ts";
import { registerMeta } from "./routes/meta.ts";
import { registerModels } from "./routes/models.ts";
import { registerOpenAIImages } from "./routes/openai-images.ts";
import { isNavigation, page, registerPage } from "./routes/page.ts";
import { registerPolicy } from "./routes/policy.ts";
import { registerRunner } from "./routes/runner.ts";
import { registerSlack } from "./routes/slack.ts";
import { registerSlackInstall } from "./routes/slack-install.ts";
import { registerWebhookEndpoints } from "./routes/webhook-endpoints.ts";

/** The HTTP API: middleware and routes in reading order. */
export function createApp(): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: onInvalid });
  app.onError((error, c) => onError(error, c));
  app.notFound((c) => (isNavigation(c) ? page(c, 404) : onNotFound(c)));
  app.use(request());
  app.use(methodNotAllowed({ app, onMethodNotAllowed: (c, methods) => onMethodNotAllowed(c as AppContext, methods) }));
  registerMeta(app);
  registerModels(app);
  registerGenerations(app);
  registerOpenAIImages(app);
  registerEvents(app);
  registerImages(app);
  registerKeys(app);
  registerAccount(app);
  registerPolicy(app);
  registerGroups(app);
  registerWebhookEndpoints(app);
  registerRunner(app);
  registerDiscord(app);
  registerSlack(app);
  registerSlackInstall(app);
  registerDocs(app);
  registerPage(app);
  return app;
}
