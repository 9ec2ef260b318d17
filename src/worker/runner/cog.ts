import { answers, type Backend, fetchOutput, reply, sdk } from "./backend.ts";
import { declared } from "./catalogue.ts";
import { inputsOf } from "./inputs.ts";
import type { CogRunner } from "./settings.ts";
import type { Verdict } from "./signature.ts";

/**
 * A bare Cog server (github.com/replicate/cog, docs/http.md). It keeps no line (409 when its slots are taken), forgets a
 * prediction as soon as it ends, and cannot be asked about one; its callbacks carry a bearer token and no signature.
 */
export function cogBackend({ name, url, token, callback_token, models }: CogRunner, fetcher: typeof fetch): Backend {
  // The SDK always sends a token; Cog does not look at it.
  const { predictions } = sdk(url, token ?? "none", fetcher);
  const list = models.map((model) => declared(model, name));
  return {
    name,
    kind: "cog",
    ownIds: true,
    declared: list,
    models: async () => list,
    async create(id, input, webhook) {
      const model = models.find((each) => each.id === input.model);
      if (!model) return { kind: "rejected", detail: `The runner ${name} does not have the model ${input.model}.` };
      return reply(
        predictions.create({
          ...{ id },
          // The SDK wants one; Cog ignores it.
          version: model.version ?? name,
          input: inputsOf(input, model),
          webhook,
          webhook_events_filter: ["start", "logs", "completed"],
        }),
      );
    },
    get: async () => ({ kind: "silent" }),
    cancel: async ({ id }) => void (await reply(predictions.cancel(id))),
    ready: () =>
      answers(`${url}/health-check`, token ? { Authorization: `Bearer ${token}` } : {}, fetcher, (body) =>
        ["READY", "BUSY"].includes(String((body as { status?: unknown } | null)?.status)),
      ),
    download: (output) => fetchOutput(output, url, token, fetcher),
    verify: async (headers) => verifyBearer(headers.get("Authorization"), callback_token),
  };
}

async function verifyBearer(authorization: string | null, expected: string): Promise<Verdict> {
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
  if (given === undefined) return { valid: false, reason: "The header Authorization: Bearer is needed." };
  const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const [one, other] = await Promise.all([digest(given), digest(expected)]);
  // Digests have one length, which the comparison needs and which tells nothing of the token.
  return crypto.subtle.timingSafeEqual(one, other)
    ? { valid: true }
    : { valid: false, reason: "The bearer token is not this runner's." };
}
