import { type Account, OWN_LIMITS, type UpdateAccount } from "../../contract/accounts.ts";
import type { FieldError } from "../../contract/problem.ts";
import type { Deps } from "../deps.ts";
import { invalid, Refusal } from "../refusal.ts";
import type { AccountRow } from "../storage/accounts.ts";
import type { KnownKey } from "../storage/keys.ts";
import { forgetAccount } from "./authenticate.ts";
import { forgetAges } from "./images.ts";
import { eraseSome } from "./retention.ts";
import { rfc3339 } from "./view.ts";

export async function getAccount(deps: Deps, key: KnownKey, id: string = key.accountId): Promise<Account> {
  return toAccount(await findAccount(deps, key, id));
}

/** Changes an account: its own one within what it may set itself, any for operators. */
export async function updateAccount(deps: Deps, key: KnownKey, change: UpdateAccount): Promise<Account> {
  const row = await findAccount(deps, key, change.account ?? key.accountId);
  if (row.erasedAt !== null) throw erased();
  const { limits = row.limits, retention = row.retention } = change;
  if (!key.operator) {
    const foreign = (Object.keys({ ...row.limits, ...limits }) as (keyof typeof limits)[]).filter(
      (name) => !(OWN_LIMITS as readonly string[]).includes(name) && limits[name] !== row.limits[name],
    );
    const errors = foreign.map(
      (name): FieldError => ({
        pointer: `#/limits/${name}`,
        detail: `Your operator sets this one; send it as it is: ${row.limits[name] ?? "left out"}.`,
      }),
    );
    if (errors.length > 0)
      throw new Refusal("operator_only", `Only operators change ${foreign.join(" and ")}.`, { errors });
  }
  const updated = await deps.accounts.update(row.id, limits, retention);
  forgetAccount(deps, row.id);
  forgetAges(deps);
  return toAccount(updated ?? row);
}

/**
 * Erases an account: its keys end at once, generations, pictures, endpoints, messages, policy and counts are removed in
 * the background and by the cron. What it used per day stays, without prompts.
 *
 * @param confirm the account's id once more
 */
export async function eraseAccount(
  deps: Deps,
  key: KnownKey,
  { account: id = key.accountId, confirm }: { account?: string | undefined; confirm: string },
): Promise<Account> {
  const row = await findAccount(deps, key, id);
  if (confirm !== id)
    throw invalid([{ pointer: "#/confirm", detail: `Say confirm=${id} to erase that account with all it has.` }]);
  if (row.operator)
    throw new Refusal("operator_account", "An operator's account cannot be erased; take its rights away first.");
  await deps.retention.beginErasure(id, deps.now());
  forgetAccount(deps, id);
  deps.background(eraseSome(deps, id));
  return toAccount((await deps.accounts.find(id)) ?? row);
}

/** What an erased account's id answers to everything that would fill it again. */
export function erased(): Refusal {
  return new Refusal("account_erased", "This account was erased; use another id.");
}

async function findAccount(deps: Deps, key: KnownKey, id: string): Promise<AccountRow> {
  if (id !== key.accountId && !key.operator)
    throw new Refusal("operator_only", "Only operators see other accounts; leave account out.", {
      errors: [{ pointer: "#/account", detail: "Leave it out: your own account is meant then." }],
    });
  const row = await deps.accounts.find(id);
  if (!row) throw new Refusal("not_found", "There is no such account; it is made with its first key.");
  return row;
}

function toAccount({ id, operator, createdAt, limits, retention, erasedAt, erasing }: AccountRow): Account {
  return {
    id,
    object: "account",
    operator,
    created_at: rfc3339(createdAt),
    limits,
    retention,
    erased_at: rfc3339(erasedAt),
    erasing,
  };
}
