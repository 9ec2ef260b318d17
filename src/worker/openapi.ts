import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AppEnv } from "./context.ts";

const DESCRIPTION =
  "A sentence in, the picture you meant out. Errors are RFC 9457 problem details; every answer has X-Request-Id.";

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
  const schemas = document.components?.schemas ?? {};
  const create = schemas.CreateGeneration as { properties?: { scheduler?: { enum?: string[] } } } | undefined;
  if (create?.properties?.scheduler && schedulers.length > 0) create.properties.scheduler.enum = schedulers;
  return {
    ...document,
    components: {
      ...document.components,
      securitySchemes: { key: { type: "http", scheme: "bearer", bearerFormat: "vgt_…" } },
    },
  };
}
