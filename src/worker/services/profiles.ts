import { MAX_PREFERENCES, type Profile, type UpdateProfile } from "../../contract/profiles.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import { findRow } from "./generations.ts";

export async function getProfile({ profiles }: Deps, accountId: string, id: string): Promise<Profile> {
  return { id, object: "profile", preferences: await profiles.preferences(accountId, id) };
}

/** @throws {Refusal} invalid_request when it would hold too many */
export async function updateProfile(
  { profiles }: Deps,
  accountId: string,
  id: string,
  { preferences: change }: UpdateProfile,
): Promise<Profile> {
  const kept = Object.entries({ ...(await profiles.preferences(accountId, id)), ...change });
  if (kept.filter(([, value]) => value !== null).length > MAX_PREFERENCES)
    throw new Refusal("invalid_request", "The profile would hold too many preferences.", {
      errors: [{ pointer: "#/preferences", detail: `A profile holds at most ${MAX_PREFERENCES}; set some to null.` }],
    });
  return { id, object: "profile", preferences: await profiles.setPreferences(accountId, id, change) };
}

export async function forgetProfile({ profiles }: Deps, accountId: string, id: string): Promise<void> {
  await profiles.forget(accountId, id);
}

/** @throws {Refusal} not_found */
export async function addFavorite(
  deps: Deps,
  accountId: string,
  { id, generation }: { id: string; generation: string },
): Promise<void> {
  await findRow(deps, accountId, generation);
  await deps.profiles.addFavorite(accountId, id, generation);
}
