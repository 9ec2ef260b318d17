import { idPattern } from "../../contract/ids.ts";

/** What a button does; the letters are on posted messages and never change their meaning. */
const ACTIONS = {
  c: "cancel",
  r: "reroll",
  v: "vary",
  x: "remix",
  s: "same_seed",
  d: "details",
  D: "delete",
  t: "retry",
  w: "show",
  g: "gallery",
  f: "forget",
  p: "send",
  h: "shuffle",
  a: "resume",
  y: "meant",
  n: "not_meant",
  Y: "keep_meant",
  N: "keep_not_meant",
  S: "favorite",
  U: "unfavorite",
  G: "next_favorite",
} as const;

export type Action = (typeof ACTIONS)[keyof typeof ACTIONS];
const LETTERS = Object.fromEntries(Object.entries(ACTIONS).map(([letter, action]) => [action, letter])) as Record<
  Action,
  string
>;

export interface Press {
  action: Action;
  /** The generation that the button belongs to; null for those that belong to a person. */
  id: string | null;
  /** Which image; null for all. */
  index: number | null;
}

const PREFIX = "vg1";
const GENERATION = idPattern("gen");

/**
 * `vg1:<letter>[:<generation id>[:<image>]]`: an id and nothing else, so that a button outlives the bot that made it. It
 * grants nothing: whose generation it is, the API knows.
 */
export function writeCustomId({ action, id = null, index = null }: Partial<Press> & { action: Action }): string {
  return [PREFIX, LETTERS[action], ...(id === null ? [] : [id]), ...(index === null ? [] : [index])].join(":");
}

/** Discord: a message that waits for its job, with the command it answers and whose that is. */
export function writeResumeId(request: string, user: string): string {
  return [PREFIX, LETTERS.resume, request, user].join(":");
}

export function readResumeId(text: string): { request: string; user: string } | null {
  const [, request, user] = new RegExp(`^${PREFIX}:${LETTERS.resume}:(\\d+):(\\d+)$`).exec(text) ?? [];
  return request && user ? { request, user } : null;
}

/** @returns null when it is none of ours, or of a version that this one does not know */
export function readCustomId(text: string): Press | null {
  const [prefix, letter = "", id, index, ...more] = text.split(":");
  if (prefix !== PREFIX || more.length > 0 || !Object.hasOwn(ACTIONS, letter)) return null;
  if (id !== undefined && !GENERATION.test(id)) return null;
  if (index !== undefined && !/^[0-3]$/.test(index)) return null;
  const action = ACTIONS[letter as keyof typeof ACTIONS];
  return { action, id: id ?? null, index: index === undefined ? null : Number(index) };
}
