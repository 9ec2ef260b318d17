import type { CreateGeneration } from "../../contract/generation.ts";
import { EVERYBODY, type Policy, type SetPolicy } from "../../contract/policy.ts";
import type { RotateSecret } from "../../contract/webhooks.ts";
import { randomToken } from "../bytes.ts";
import type { Deps } from "../deps.ts";
import { Memory } from "../memory.ts";
import { moderate } from "../policy/moderate.ts";
import { type CompiledPolicy, compilePolicy, violationOf } from "../policy/policy.ts";
import { Refusal } from "../refusal.ts";
import type { KnownKey } from "../storage/keys.ts";
import type { PolicyRow } from "../storage/policies.ts";
import { newSecret, overlapUntil } from "../webhooks/sign.ts";
import { forgetAccount, forgetEverybody } from "./authenticate.ts";
import type { Resolved } from "./resolve.ts";
import { rfc3339 } from "./view.ts";
import { requireReceiver } from "./webhook-endpoints.ts";

const MEMORY_POLICIES = 500;
/** Under their versions, which a change changes: they need not be forgotten. */
const compiled = new Memory<CompiledPolicy[]>({ ms: Number.POSITIVE_INFINITY, entries: MEMORY_POLICIES });

/**
 * Holds a request against what its account, and the operator for everybody, have forbidden.
 *
 * @throws {Refusal} prompt_refused, moderation_unavailable
 */
export async function requireAllowed(
  deps: Deps,
  key: KnownKey,
  { prompt, user }: CreateGeneration,
  { model, negativePrompt }: Resolved,
): Promise<void> {
  const policies = await policiesOf(deps, key);
  for (const policy of policies) {
    const broken = violationOf(policy, { prompt, negative_prompt: negativePrompt });
    if (broken) throw refused(broken.rule, broken.field, broken.detail);
  }
  for (const { moderation } of policies) {
    if (!moderation) continue;
    const now = deps.now();
    const data = { account: key.accountId, user: user ?? null, model, prompt, negative_prompt: negativePrompt };
    const verdict = await moderate(
      moderation,
      { type: "prompt.moderation", timestamp: rfc3339(now), data },
      { id: `mod_${randomToken()}`, now, webhooks: deps.webhooks },
    );
    if (verdict?.allowed === false)
      throw refused(verdict.rule ?? "moderation", "prompt", verdict.message ?? "Ask for something else.");
    if (verdict) continue;
    const { host } = new URL(moderation.url);
    console.warn(JSON.stringify({ event: "moderation_unavailable", account: key.accountId, host }));
    if (moderation.on_failure === "closed")
      throw new Refusal(
        "moderation_unavailable",
        "The prompt could not be checked, and unchecked ones are not drawn.",
        {
          headers: { "Retry-After": "5" },
        },
      );
  }
}

export async function getPolicy(deps: Deps, key: KnownKey, account?: string): Promise<Policy> {
  const id = subject(key, account);
  return toPolicy(deps, id, await deps.policies.find(id));
}

/** Replaces a policy. Holds at once here, everywhere within `KEY_MEMORY_MS`. */
export async function setPolicy(deps: Deps, key: KnownKey, policy: SetPolicy, account?: string): Promise<Policy> {
  const id = subject(key, account);
  if (policy.moderation) requireReceiver(deps, policy.moderation.url, "#/moderation/url");
  if (id !== EVERYBODY && id !== key.accountId && !(await deps.accounts.find(id)))
    throw new Refusal("not_found", "There is no such account; it is made with its first key.");
  const row = { accountId: id, policy, version: randomToken(), secret: newSecret(), updatedAt: deps.now() };
  const saved = await deps.policies.save(row);
  forget(deps, id);
  return toPolicy(deps, id, saved);
}

/**
 * Gives the moderation hook a new secret; it is asked with both until the overlap ends. Holds at once here, everywhere
 * within `KEY_MEMORY_MS`.
 */
export async function rotatePolicySecret(
  deps: Deps,
  key: KnownKey,
  { overlap_seconds }: RotateSecret,
  account?: string,
): Promise<Policy> {
  const id = subject(key, account);
  const until = deps.now() + overlap_seconds * 1000;
  const row = await deps.policies.rotate(id, { secret: newSecret(), until, version: randomToken() });
  if (!row) throw new Refusal("not_found", "There is no moderation hook here; PUT /v1/policy sets one.");
  forget(deps, id);
  return toPolicy(deps, id, row);
}

export async function removePolicy(deps: Deps, key: KnownKey, account?: string): Promise<void> {
  const id = subject(key, account);
  await deps.policies.remove(id);
  forget(deps, id);
}

function subject(key: KnownKey, account: string | undefined): string {
  if (account === undefined || account === key.accountId || key.operator) return account ?? key.accountId;
  throw new Refusal("operator_only", "Only operators see and set other accounts' policies; leave account out.", {
    errors: [{ pointer: "#/account", detail: "Leave it out: your own account is meant then." }],
  });
}

function forget(deps: Deps, id: string): void {
  if (id === EVERYBODY) forgetEverybody(deps);
  else forgetAccount(deps, id);
}

/** What holds for a key's account, everybody's first; read from D1 once per version. */
async function policiesOf(deps: Deps, { accountId, policyVersions }: KnownKey): Promise<CompiledPolicy[]> {
  if (policyVersions.length === 0) return [];
  const name = JSON.stringify([accountId, policyVersions]);
  const known = compiled.get(deps.config, name, deps.now());
  if (known) return known;
  const rows = await deps.policies.of(accountId);
  const policies = rows
    .sort((one) => (one.accountId === EVERYBODY ? -1 : 1))
    .map((row) => compilePolicy(row.policy, row));
  compiled.set(deps.config, name, policies, deps.now());
  return policies;
}

function refused(rule: string, field: string, detail: string): Refusal {
  return new Refusal("prompt_refused", `The rule ${rule} does not allow this: ${detail}`, {
    errors: [{ pointer: `#/${field}`, detail: `The rule ${rule} does not allow this: ${detail}` }],
    rule,
  });
}

function toPolicy(deps: Deps, account: string, row: PolicyRow | null): Policy {
  const { max_prompt_chars = null, max_prompt_tokens = null, rules = [], moderation = null } = row?.policy ?? {};
  return {
    object: "policy",
    account,
    max_prompt_chars,
    max_prompt_tokens,
    rules,
    moderation,
    secret: moderation && row ? row.secret : null,
    previous_secret_until: moderation && row ? rfc3339(overlapUntil(row, deps.now())) : null,
    updated_at: rfc3339(row?.updatedAt ?? null),
  };
}
