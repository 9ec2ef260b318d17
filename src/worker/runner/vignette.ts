import { hashText } from "../bytes.ts";
import { answers, type Backend, fetchOutput, READY_TIMEOUT_MS, reply, sdk } from "./backend.ts";
import { parseCatalogue } from "./catalogue.ts";
import type { VignetteRunner } from "./settings.ts";
import { verifySignature } from "./signature.ts";

/** The models' owner in Replicate's `owner/name`. */
const OWNER = "vignette";

/** Our own runner: Replicate's HTTP surface, with our ids and a list of models that says everything about them. */
export function vignetteBackend(
  { name, url, token, webhook_secret, models: chosen }: VignetteRunner,
  fetcher: typeof fetch,
): Backend {
  const { predictions } = sdk(`${url}/v1`, token, fetcher);
  const authorization = { Authorization: `Bearer ${token}` };
  return {
    name,
    kind: "vignette",
    ownIds: true,
    declared: null,
    async models() {
      try {
        const response = await fetcher(`${url}/v1/models`, {
          headers: authorization,
          signal: AbortSignal.timeout(READY_TIMEOUT_MS),
        });
        if (!response.ok) return null;
        return parseCatalogue(await response.json()).filter(({ id }) => chosen?.includes(id) ?? true);
      } catch {
        return null;
      }
    },
    async create(id, input, webhook, account) {
      const client = sdk(`${url}/v1`, token, forCaller(await callerOf(account, token), fetcher));
      return reply(
        client.predictions.create({
          // Not in the SDK's types, and sent on by it: safeFetch makes it the address.
          ...{ id },
          model: `${OWNER}/${input.model}`,
          input,
          webhook,
          webhook_events_filter: ["start", "logs", "completed", ...(input.preview_every ? (["output"] as const) : [])],
        }),
      );
    },
    get: ({ id }) => reply(predictions.get(id)),
    cancel: async ({ id }) => void (await reply(predictions.cancel(id))),
    ready: () => answers(`${url}/readyz`, {}, fetcher),
    download: (output) => fetchOutput(output, url, token, fetcher),
    verify: (headers, body, now) => verifySignature(headers, body, webhook_secret, now),
  };
}

/** Whom a runner draws for: the same word for the same account, from which nobody without the token can tell which. */
async function callerOf(account: string, token: string): Promise<string> {
  return (await hashText(`${token} ${account}`)).slice(0, 32);
}

/** A `fetch` that says whom it is for, so that callers take turns at the runner; the SDK has no place for a header. */
function forCaller(caller: string, fetcher: typeof fetch): typeof fetch {
  return function callerFetch(input, init) {
    const headers = new Headers(init?.headers);
    headers.set("X-Vignette-Caller", caller);
    return fetcher(input, { ...init, headers });
  };
}
