import { atMost } from "./text.ts";
import { z } from "./zod.ts";

const places = z.int().min(1).max(10_000);
const pictures = z.int().min(1).max(10_000_000);

export const GroupLimits = z
  .strictObject({
    concurrent: places.optional().openapi({ description: "Generations queued or running at once, of all in it." }),
    images_per_day: pictures.optional().openapi({ description: "Of all in it." }),
    concurrent_per_user: places.optional().openapi({ description: "For each `user` in it." }),
    images_per_day_per_user: pictures.optional().openapi({ description: "For each `user` in it." }),
  })
  .openapi("GroupLimits", { description: "A limit left out does not apply. Days are UTC's." });
export type GroupLimits = z.infer<typeof GroupLimits>;

export const MemberLimits = z
  .strictObject({
    concurrent: places.optional(),
    images_per_day: z.int().min(0).max(10_000_000).optional().openapi({ description: "0: may draw nothing here." }),
  })
  .openapi("MemberLimits", { description: "Hold in place of the group's limits per user." });
export type MemberLimits = z.infer<typeof MemberLimits>;

/** How many end users may have limits of their own in one group. */
export const MAX_MEMBERS = 500;

const GROUP_EXAMPLE = {
  limits: { images_per_day_per_user: 20 },
  users: { "discord:200000000000000042": { images_per_day: 0 } },
};

export const Group = z
  .object({
    id: z.string(),
    object: z.literal("group"),
    limits: GroupLimits,
    users: z.record(z.string(), MemberLimits).openapi({ description: "End users with limits of their own." }),
  })
  .openapi("Group", { example: { id: "discord:200000000000000001", object: "group", ...GROUP_EXAMPLE } });
export type Group = z.infer<typeof Group>;

export const UpdateGroup = z
  .strictObject({
    limits: GroupLimits.optional().openapi({ description: "Replaced as a whole." }),
    users: z
      .record(atMost(200, z.string().min(1)), MemberLimits.nullable())
      .refine((users) => Object.keys(users).length <= MAX_MEMBERS, `At most ${MAX_MEMBERS} users at once.`)
      .optional()
      .openapi({ description: "Each one named is replaced; null: back to the group's limits. Others stay." }),
  })
  .openapi("UpdateGroup", { example: GROUP_EXAMPLE });
export type UpdateGroup = z.infer<typeof UpdateGroup>;
