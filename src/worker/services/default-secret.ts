import type { RotateSecret, WebhookSecret } from "../../contract/webhooks.ts";
import type { Deps } from "../deps.ts";
import { newSecret, overlapUntil, type SigningSecret } from "../webhooks/sign.ts";
import { erased } from "./accounts.ts";
import { rfc3339 } from "./view.ts";

/** What signs messages to a request's own `webhook_url`. */
export async function getDefaultSecret(deps: Deps, accountId: string): Promise<WebhookSecret> {
  return toSecret(await deps.endpoints.defaultSecret(accountId, newSecret()), deps.now());
}

/** A new one; messages are signed with both until the overlap ends. */
export async function rotateDefaultSecret(
  deps: Deps,
  accountId: string,
  { overlap_seconds }: RotateSecret,
): Promise<WebhookSecret> {
  const now = deps.now();
  return toSecret(await deps.endpoints.rotateDefaultSecret(accountId, newSecret(), now + overlap_seconds * 1000), now);
}

function toSecret(found: SigningSecret | null, now: number): WebhookSecret {
  if (!found) throw erased();
  return { secret: found.secret, previous_secret_until: rfc3339(overlapUntil(found, now)) };
}
