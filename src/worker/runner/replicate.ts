import { answers, type Backend, fetchOutput, reply, sdk } from "./backend.ts";
import { declared } from "./catalogue.ts";
import { inputsOf } from "./inputs.ts";
import type { ReplicateRunner } from "./settings.ts";
import { verifySignature } from "./signature.ts";

/**
 * Replicate's cloud (replicate.com/docs/reference/http). It names predictions itself and knows no idempotent create, so
 * a create whose answer was lost may have begun: `uncertain` says so, and its callback tells the name.
 */
export function replicateBackend(
  { name, url, token, webhook_secret, models }: ReplicateRunner,
  fetcher: typeof fetch,
): Backend {
  const client = sdk(url, token, fetcher);
  const find = (id: string) => models.find((model) => model.id === id);
  const list = models.map(({ remote, ...model }) => declared(model, Object.values(remote).join()));
  return {
    name,
    kind: "replicate",
    ownIds: false,
    declared: list,
    models: async () => list,
    async create(_, input, webhook) {
      const model = find(input.model);
      if (!model) return { kind: "rejected", detail: `The runner ${name} does not have the model ${input.model}.` };
      const request = {
        input: inputsOf(input, model),
        webhook,
        webhook_events_filter: ["start", "logs", "completed"] as ("start" | "logs" | "completed")[],
      };
      const { remote } = model;
      if ("version" in remote) return reply(client.predictions.create({ version: remote.version, ...request }));
      if ("model" in remote)
        return reply(client.predictions.create({ model: remote.model as `${string}/${string}`, ...request }));
      const [owner = "", deployment = ""] = remote.deployment.split("/");
      return reply(client.deployments.predictions.create(owner, deployment, request));
    },
    get: async ({ predictionId }) =>
      predictionId === null ? { kind: "silent" } : reply(client.predictions.get(predictionId)),
    async cancel({ predictionId }) {
      if (predictionId !== null) await reply(client.predictions.cancel(predictionId));
    },
    ready: () => answers(`${url}/account`, { Authorization: `Bearer ${token}` }, fetcher),
    download: (output) => fetchOutput(output, url, token, fetcher),
    verify: (headers, body, now) => verifySignature(headers, body, webhook_secret, now),
  };
}
