import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AppEnv } from "./context.ts";

const DESCRIPTION =
  "A sentence in, the picture you meant out. Errors are RFC 9457 problem details; every answer has X-Request-Id, and " +
  "Vignette-Notice while a webhook endpoint of the account is out of use because of what it answered.";

/** Under which heading a reference page shows a path, by its first part behind the version. */
const TAGS: Record<string, string> = {
  generations: "Generations",
  i: "Generations",
  images: "OpenAI",
  models: "Models",
  keys: "Keys",
  account: "Account",
  usage: "Account",
  groups: "Account",
  profiles: "Account",
  feedback: "Generations",
  policy: "Policy",
  "webhook-endpoints": "Webhooks",
  healthz: "Service",
  readyz: "Service",
};

function tagOf(path: string): string {
  const [, first = "", second = ""] = path.split("/");
  return TAGS[first === "v1" ? second : first] ?? "Service";
}

/**
 * The OpenAPI 3.1 description, from the schemas that validate.
 *
 * @param schedulers the runner's diffusers classes: only a running service knows them, so they are filled in here
 */
export function describeApi(app: OpenAPIHono<AppEnv>, publicUrl: string, schedulers: string[]) {
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Vignette", version: "1", description: DESCRIPTION, license: { name: "MIT" } },
    servers: [{ url: publicUrl }],
  });
  for (const [path, item] of Object.entries(document.paths ?? {}))
    for (const operation of Object.values(item as Record<string, { tags?: string[] }>)) operation.tags = [tagOf(path)];
  const schemas = document.components?.schemas ?? {};
  const create = schemas.CreateGeneration as { properties?: { scheduler?: { enum?: string[] } } } | undefined;
  if (create?.properties?.scheduler && schedulers.length > 0) create.properties.scheduler.enum = schedulers;
  return {
    ...document,
    tags: [...new Set(Object.values(TAGS))].map((name) => ({ name })),
    components: {
      ...document.components,
      securitySchemes: { key: { type: "http", scheme: "bearer", bearerFormat: "vgt_…" } },
    },
  };
}
