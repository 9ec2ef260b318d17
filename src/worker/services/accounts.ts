import { type Account, OWN_LIMITS, type UpdateAccount } from "../../contract/accounts.ts";
import type { FieldError } from "../../contract/problem.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { AccountRow } from "../storage/accounts.ts";
import type { KnownKey } from "../storage/keys.ts";
import { forgetAccount } from "./authenticate.ts";
import { rfc3339 } from "./view.ts";

export async function getAccount(deps: Deps, key: KnownKey, id: string = key.accountId): Promise<Account> {
  return toAccount(await findAccount(deps, key, id));
}

/** Changes an account: its own one within what it may set itself, any for operators. */
export async function updateAccount(deps: Deps, key: KnownKey, change: UpdateAccount): Promise<Account> {
  const row = await findAccount(deps, key, change.account ?? key.accountId);
  if (change.limits === undefined) return toAccount(row);
  const limits = change.limits;
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
  const updated = await deps.accounts.setLimits(row.id, limits);
  forgetAccount(deps, row.id);
  return toAccount(updated ?? row);
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

function toAccount({ id, operator, createdAt, limits }: AccountRow): Account {
  return { id, object: "account", operator, created_at: rfc3339(createdAt), limits };
}
