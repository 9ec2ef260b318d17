import type { Client } from "../../client/index.ts";
import type { Group, GroupLimits, MemberLimits, UpdateGroup } from "../../contract/groups.ts";
import { patience } from "./api.ts";
import type { Origin } from "./origin.ts";
import { type Sentence, sentence } from "./strings.ts";
import { oneLine } from "./text.ts";

/** What somebody who runs a place asks for; each may be missing. */
export interface RawSettings {
  /** Pictures a day for each person, or for the one named. */
  day?: string | number | undefined;
  /** Pictures at once for each person, or for the one named. */
  at_once?: string | number | undefined;
  /** Pictures a day for all together. */
  all?: string | number | undefined;
  /** True: may not draw here; false: may again. */
  block?: boolean | undefined;
}

/** The largest number that is one of pictures here. */
const MOST = 10_000;
/** The place as the API's group; null where there is none, as in direct messages. */
export const groupOf = ({ chat, place }: Pick<Origin, "chat" | "place">): string | null =>
  place === undefined ? null : `${chat}:${place}`;

/** Changes what may be drawn in a place, or by one person there, and says what holds then. */
export async function applySettings(
  api: Client,
  group: string,
  raw: RawSettings,
  person: string | null,
): Promise<Sentence[]> {
  const before = await api.groups.get(group, { signal: patience() });
  const wanted = changeOf(raw, before, person);
  if ("complaints" in wanted) return wanted.complaints;
  const { change } = wanted;
  const holds = change ? await api.groups.update(group, change, { signal: patience() }) : before;
  return settingsSaid(holds, person);
}

/**
 * What is to be changed: of the place, or of one person in it. 0 takes a limit away.
 * @param person as the API knows them
 */
export function changeOf(
  raw: RawSettings,
  group: Group,
  person: string | null,
): { change: UpdateGroup | null } | { complaints: Sentence[] } {
  const complaints: Sentence[] = [];
  const number = (value: string | number | undefined): number | undefined => {
    if (value === undefined) return undefined;
    const text = String(value).trim();
    if (/^\d+$/.test(text) && Number(text) <= MOST) return Number(text);
    complaints.push(sentence("settings_bad", { value: oneLine(text, 40), limit: MOST }));
    return undefined;
  };
  const given = { day: number(raw.day), atOnce: number(raw.at_once), all: number(raw.all) };
  if (raw.block !== undefined && person === null) complaints.push(sentence("settings_whom"));
  if (complaints.length > 0) return { complaints };
  const change = person === null ? ofPlace(given, group.limits) : ofPerson(given, raw.block, group, person);
  return { change };
}

interface Given {
  day: number | undefined;
  atOnce: number | undefined;
  all: number | undefined;
}

function ofPlace({ day, atOnce, all }: Given, before: GroupLimits): UpdateGroup | null {
  if (day === undefined && atOnce === undefined && all === undefined) return null;
  const limits: Record<string, number | undefined> = { ...before };
  if (day !== undefined) limits.images_per_day_per_user = day || undefined;
  if (atOnce !== undefined) limits.concurrent_per_user = atOnce || undefined;
  if (all !== undefined) limits.images_per_day = all || undefined;
  return { limits: present(limits) as GroupLimits };
}

function ofPerson(
  { day, atOnce }: Given,
  block: boolean | undefined,
  group: Group,
  person: string,
): UpdateGroup | null {
  if (day === undefined && atOnce === undefined && block === undefined) return null;
  const own: Record<string, number | undefined> = { ...memberOf(group, person) };
  // To be blocked is a limit of none a day.
  if (block === false && own.images_per_day === 0) own.images_per_day = undefined;
  if (day !== undefined) own.images_per_day = day || undefined;
  if (atOnce !== undefined) own.concurrent = atOnce || undefined;
  if (block) own.images_per_day = 0;
  const left = present(own) as MemberLimits;
  return { users: { [person]: Object.keys(left).length > 0 ? left : null } };
}

/** What holds, in sentences. */
export function settingsSaid(group: Group, person: string | null): Sentence[] {
  if (person !== null) {
    const { images_per_day: day, concurrent } = memberOf(group, person);
    const said = [
      ...(day === 0 ? [sentence("settings_blocked")] : day ? [sentence("settings_own_day", { limit: day })] : []),
      ...(concurrent ? [sentence("settings_own_now", { limit: concurrent })] : []),
    ];
    return said.length > 0 ? said : [sentence("settings_own_none")];
  }
  const { images_per_day_per_user: day, concurrent_per_user: now, images_per_day: all } = group.limits;
  const members = Object.keys(group.users).length;
  const said = [
    ...(day ? [sentence("settings_day", { limit: day })] : []),
    ...(now ? [sentence("settings_now", { limit: now })] : []),
    ...(all ? [sentence("settings_all", { limit: all })] : []),
    ...(members > 0 ? [sentence("settings_members", { count: members })] : []),
  ];
  return said.length > 0 ? said : [sentence("settings_none")];
}

const memberOf = (group: Group, person: string): MemberLimits =>
  (Object.hasOwn(group.users, person) ? group.users[person] : undefined) ?? {};

const present = (limits: Record<string, number | undefined>) =>
  Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
