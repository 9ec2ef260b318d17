import { z } from "./zod.ts";

/** What `/healthz` answers. */
export const Health = z.object({ status: z.literal("ok") }).openapi("Health", { example: { status: "ok" } });

/** What `/readyz` answers. */
export const Readiness = z
  .object({
    ready: z.boolean().openapi({ description: "Whether pictures can be drawn now." }),
    database: z.boolean(),
    runner: z.boolean().openapi({ description: "Whether at least one runner is ready and its models are known." }),
    storage: z.boolean(),
    degraded: z.array(z.string()).openapi({ description: "What is wrong, in sentences; empty when all is well." }),
    runners: z.array(
      z.object({
        name: z.string(),
        kind: z.enum(["vignette", "replicate", "cog"]),
        ready: z.boolean(),
        circuit: z
          .enum(["closed", "open", "half-open"])
          .nullable()
          .openapi({ description: "`open`: nothing is sent there for a while; null: not known." }),
      }),
    ),
  })
  .openapi("Readiness", {
    example: {
      ready: true,
      database: true,
      runner: true,
      storage: true,
      degraded: [],
      runners: [{ name: "default", kind: "vignette", ready: true, circuit: "closed" }],
    },
  });
export type Readiness = z.infer<typeof Readiness>;
