// The one place that names the validation library; `.openapi()` comes with it.
export { z } from "@hono/zod-openapi";
