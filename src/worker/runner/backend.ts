import Replicate from "replicate";
import type { Model } from "../../contract/models.ts";
import { Prediction } from "./prediction.ts";
import { faultOf, type RunnerFault, safeFetch, unavailable } from "./safe-fetch.ts";
import type { Verdict } from "./signature.ts";

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
  /** Steps between two previews. */
  preview_every?: number;
}

/** A generation, and what its runner calls it: null until that is known. */
export interface PredictionRef {
  id: string;
  predictionId: string | null;
}

/** An output's bytes, or why there are none. */
export type Download = { kind: "bytes"; bytes: ArrayBuffer } | RunnerFault;

/**
 * One runner behind whichever protocol it speaks. Every answer is a value: none of the calls throws for a runner's
 * trouble.
 */
export interface Backend {
  readonly name: string;
  readonly kind: "vignette" | "replicate" | "cog";
  /** Whether predictions bear our ids, so that asking twice starts nothing new. */
  readonly ownIds: boolean;
  /** The models of the configuration; null: the runner tells them itself. */
  readonly declared: Model[] | null;
  /** The runner's models; null when it does not answer with a list of them. */
  models(): Promise<Model[] | null>;
  /** Starts a prediction whose news come to `callback`. @param account whom it is for */
  create(id: string, input: PredictionInput, callback: string, account: string): Promise<RunnerReply>;
  /** How it stands with a prediction; `silent` when that cannot be asked here. */
  get(ref: PredictionRef): Promise<RunnerReply | { kind: "silent" }>;
  cancel(ref: PredictionRef): Promise<void>;
  ready(): Promise<boolean>;
  download(url: string): Promise<Download>;
  /** Whether a callback is the runner's. @param now milliseconds since 1970 */
  verify(headers: Headers, body: string, now: number): Promise<Verdict>;
}

export const READY_TIMEOUT_MS = 3_000;
const DOWNLOAD_TIMEOUT_MS = 30_000;

/** The SDK, made safe. @param baseUrl with the version, where the protocol has one */
export function sdk(baseUrl: string, token: string, fetcher: typeof fetch): Replicate {
  return new Replicate({ auth: token, baseUrl, userAgent: "vignette-edge", fetch: safeFetch(fetcher) });
}

/** What an SDK's call came to. */
export async function reply(call: Promise<unknown>): Promise<RunnerReply> {
  try {
    return { kind: "prediction", prediction: Prediction.parse(await call) };
  } catch (error) {
    return faultOf(error) ?? unavailable("The runner's answer is not a prediction.", { uncertain: true });
  }
}

/** Whether a GET is answered with 2xx soon; `judge` may look at the body. */
export async function answers(
  url: string,
  headers: Record<string, string>,
  fetcher: typeof fetch,
  judge?: (body: unknown) => boolean,
): Promise<boolean> {
  try {
    const response = await fetcher(url, { headers, signal: AbortSignal.timeout(READY_TIMEOUT_MS) });
    if (judge && response.ok) return judge(await response.json());
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** Fetches an output. The token goes to `own` origin and nowhere else. */
export async function fetchOutput(
  url: string,
  own: string,
  token: string | undefined,
  fetcher: typeof fetch,
): Promise<Download> {
  if (!URL.canParse(url)) return { kind: "rejected", detail: "An output is not a URL." };
  if (url.startsWith("data:")) return decodeDataUrl(url);
  const isOwn = new URL(url).origin === new URL(own).origin;
  if (!isOwn && !url.startsWith("https:"))
    return { kind: "rejected", detail: "An output lies neither at the runner nor behind https." };
  try {
    const response = await fetcher(url, {
      headers: isOwn && token ? { Authorization: `Bearer ${token}` } : {},
      redirect: isOwn ? "manual" : "follow",
      signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS),
    });
    if (response.ok) return { kind: "bytes", bytes: await response.arrayBuffer() };
    await response.body?.cancel();
    if (response.status === 404 || response.status === 410)
      return { kind: "missing", detail: "The runner no longer has this output." };
    return unavailable(`The output's server answered ${response.status}.`);
  } catch {
    return unavailable("The output's server does not answer.");
  }
}

/** The bytes of a base64 data URL (RFC 2397), in which Cog sends files. */
function decodeDataUrl(url: string): Download {
  const base64 = /^data:[^,]{0,100};base64,([A-Za-z0-9+/]+={0,2})$/.exec(url)?.[1];
  if (base64 === undefined || base64.length % 4 !== 0)
    return { kind: "rejected", detail: "An output is not a base64 data URL." };
  return { kind: "bytes", bytes: Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)).buffer };
}
