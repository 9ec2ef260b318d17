import type { GenerationRow } from "../storage/generation-row.ts";
import type { Counts } from "./meter.ts";

/** One answered request. */
export interface RequestPoint {
  account: string | undefined;
  route: string;
  method: string;
  status: number;
  code: string | undefined;
  cache: string | undefined;
  ms: number;
  counts: Counts;
}

export type Metrics = ReturnType<typeof metricsOf>;

/**
 * Figures for dashboards, in Analytics Engine where it is bound (developers.cloudflare.com/analytics/analytics-engine):
 * writing costs no time. docs/operations.md names every column. No prompts, users or keys are in it.
 */
export function metricsOf(dataset: AnalyticsEngineDataset | undefined) {
  const write = (account: string, blobs: string[], doubles: number[]) => {
    try {
      dataset?.writeDataPoint({ indexes: [account], blobs, doubles });
    } catch (error) {
      // A figure less is no reason to fail a request.
      console.error(JSON.stringify({ event: "metrics_failed", error: String(error) }));
    }
  };
  return {
    request({ account = "", route, method, status, code = "", cache = "", ms, counts }: RequestPoint): void {
      const { d1, rows_read, rows_written, r2_a, r2_b, queue, objects } = counts;
      write(
        account,
        ["request", route, method, String(status), code, cache],
        [ms, d1, rows_read, rows_written, r2_a, r2_b, queue, objects],
      );
    },

    /** A generation that has just ended. */
    end({ accountId, status, model, runner, error, cached, parameters, ...at }: GenerationRow): void {
      const { createdAt, startedAt, completedAt, runMs, attempts } = at;
      write(
        accountId,
        ["generation", status, model, runner ?? "", error?.code ?? "", cached ? "cached" : ""],
        [
          (completedAt ?? createdAt) - createdAt,
          startedAt === null ? 0 : startedAt - createdAt,
          runMs ?? 0,
          status === "succeeded" ? parameters.num_images : 0,
          attempts,
        ],
      );
    },
  };
}
