import Replicate from "replicate";
import type { Model } from "../../contract/models.ts";
import type { Config } from "../env.ts";
import { parseCatalogue } from "./catalogue.ts";
import { Prediction } from "./prediction.ts";
import { faultOf, type RunnerFault, safeFetch } from "./safe-fetch.ts";

/** The models' owner in Replicate's `owner/name`. */
const OWNER = "vignette";
const READY_TIMEOUT_MS = 3_000;
const DOWNLOAD_TIMEOUT_MS = 30_000;

export type RunnerReply = { kind: "prediction"; prediction: Prediction } | RunnerFault;

/** What the runner is asked to draw; names as in the public API. */
export interface PredictionInput {
  prompt: string;
  negative_prompt: string;
  model: string;
  adapter: string | null;
  adapter_scale?: number;
  width: number;
  height: number;
  num_inference_steps: number;
  guidance_scale: number;
  scheduler: string;
  seed: number;
  num_images: number;
  output_format: string;
}

export type Runner = ReturnType<typeof runnerClient>;

/** A runner behind Replicate's HTTP API: every answer is a value, none of the calls throws for a runner's trouble. */
export function runnerClient(config: Config, fetcher: typeof fetch) {
  const replicate = new Replicate({
    auth: config.RUNNER_TOKEN,
    baseUrl: `${config.RUNNER_URL}/v1`,
    userAgent: "vignette-edge",
    fetch: safeFetch(fetcher),
  });
  const authorization = { Authorization: `Bearer ${config.RUNNER_TOKEN}` };

  async function reply(call: Promise<unknown>): Promise<RunnerReply> {
    try {
      return { kind: "prediction", prediction: Prediction.parse(await call) };
    } catch (error) {
      return (
        faultOf(error) ?? { kind: "unavailable", retryAfter: null, detail: "The runner's answer is not a prediction." }
      );
    }
  }

  return {
    /** Starts prediction `id`; asking again for the same id starts nothing new. */
    create(id: string, input: PredictionInput): Promise<RunnerReply> {
      const request = {
        id,
        model: `${OWNER}/${input.model}`,
        input,
        webhook: `${config.PUBLIC_URL}/internal/runner/${id}`,
        webhook_events_filter: ["start", "logs", "completed"] as ("start" | "logs" | "completed")[],
      };
      return reply(replicate.predictions.create(request));
    },

    get: (id: string): Promise<RunnerReply> => reply(replicate.predictions.get(id)),

    cancel: (id: string): Promise<RunnerReply> => reply(replicate.predictions.cancel(id)),

    /** The runner's models; null when it does not answer with a list of them. */
    async models(): Promise<Model[] | null> {
      try {
        const response = await fetcher(`${config.RUNNER_URL}/v1/models`, {
          headers: authorization,
          signal: AbortSignal.timeout(READY_TIMEOUT_MS),
        });
        return response.ok ? parseCatalogue(await response.json()) : null;
      } catch {
        return null;
      }
    },

    async ready(): Promise<boolean> {
      try {
        const response = await fetcher(`${config.RUNNER_URL}/readyz`, {
          signal: AbortSignal.timeout(READY_TIMEOUT_MS),
        });
        await response.body?.cancel();
        return response.ok;
      } catch {
        return false;
      }
    },

    /** An output's bytes. The token goes to the runner's own origin and nowhere else. */
    async download(url: string): Promise<{ kind: "bytes"; bytes: ArrayBuffer } | RunnerFault> {
      if (!URL.canParse(url)) return { kind: "rejected", detail: "An output is not a URL." };
      const own = new URL(url).origin === new URL(config.RUNNER_URL).origin;
      if (!own && !url.startsWith("https:"))
        return { kind: "rejected", detail: "An output lies neither at the runner nor behind https." };
      try {
        const response = await fetcher(url, {
          headers: own ? authorization : {},
          redirect: own ? "manual" : "follow",
          signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS),
        });
        if (response.ok) return { kind: "bytes", bytes: await response.arrayBuffer() };
        await response.body?.cancel();
        if (response.status === 404 || response.status === 410)
          return { kind: "missing", detail: "The runner no longer has this output." };
        return { kind: "unavailable", retryAfter: null, detail: `The output's server answered ${response.status}.` };
      } catch {
        return { kind: "unavailable", retryAfter: null, detail: "The output's server does not answer." };
      }
    },
  };
}
