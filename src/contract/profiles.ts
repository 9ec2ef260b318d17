import { atMost, wellFormed } from "./text.ts";
import { z } from "./zod.ts";

/** How many preferences one profile holds. */
export const MAX_PREFERENCES = 16;
const name = atMost(64, z.string().min(1));
const value = wellFormed(512);

export const Profile = z
  .object({
    id: z.string(),
    object: z.literal("profile"),
    preferences: z.record(z.string(), z.string()),
  })
  .openapi("Profile", {
    description: "What you keep for one of your end users, or for a place of theirs.",
    example: { id: "discord:200000000000000042", object: "profile", preferences: { style: "ink" } },
  });
export type Profile = z.infer<typeof Profile>;

export const UpdateProfile = z
  .strictObject({
    preferences: z
      .record(name, value.nullable())
      .refine((given) => Object.keys(given).length <= MAX_PREFERENCES, `At most ${MAX_PREFERENCES} entries.`)
      .openapi({ description: "Each one named is replaced; null: taken away. Others stay. What they mean is yours." }),
  })
  .openapi("UpdateProfile", { example: { preferences: { style: "ink", ratio: null } } });
export type UpdateProfile = z.infer<typeof UpdateProfile>;
