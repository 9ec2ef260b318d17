import { idPattern } from "../../contract/ids.ts";
import type { Deps } from "../deps.ts";
import { invalid, Refusal } from "../refusal.ts";
import { Prediction } from "../runner/prediction.ts";
import { verifySignature } from "../runner/signature.ts";
import { apply } from "./apply.ts";

/** A runner's signed news about a prediction. Unknown and deleted generations are no fault of the runner's. */
export async function receiveCallback(deps: Deps, id: string, headers: Headers, body: string): Promise<void> {
  const verdict = await verifySignature(headers, body, deps.config.RUNNER_WEBHOOK_SECRET, deps.now());
  if (!verdict.valid) throw new Refusal("signature_invalid", verdict.reason);
  const prediction = Prediction.safeParse(parseJson(body));
  if (!prediction.success) throw new Refusal("invalid_request", "The body is not a prediction.");
  // The signature covers the body only: the path could be another generation's.
  if (prediction.data.id !== id || !idPattern("gen").test(id))
    throw invalid([{ pointer: "#/id", detail: "The prediction's id is not the one in the URL." }]);
  await apply(deps, id, prediction.data);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("invalid_json", "The body is not JSON.");
  }
}
