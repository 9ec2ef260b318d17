import type { Group, UpdateGroup } from "../../contract/groups.ts";
import type { Deps } from "../deps.ts";
import type { KnownKey } from "../storage/keys.ts";

/** A group's limits; whatever requests name as `group` is one. @throws {Refusal} rate_limited */
export async function getGroup(deps: Deps, { accountId, id: keyId }: KnownKey, id: string): Promise<Group> {
  return { id, object: "group", ...(await deps.limits.group(accountId, keyId, id)) };
}

/** @throws {Refusal} rate_limited, invalid_request */
export async function updateGroup(
  deps: Deps,
  { accountId, id: keyId }: KnownKey,
  id: string,
  change: UpdateGroup,
): Promise<Group> {
  return { id, object: "group", ...(await deps.limits.setGroup(accountId, keyId, id, change)) };
}
