import type { Client } from "../../client/index.ts";
import type { Generation } from "../../contract/generation.ts";
import { patience } from "./api.ts";
import type { Action } from "./custom-id.ts";
import type { Origin } from "./origin.ts";
import { type StringKey, sentence, stringsFor } from "./strings.ts";
import { Told } from "./trouble.ts";
import { type Button, type View, viewOf } from "./view.ts";

const PAGE = 100;
/** One press deletes so many at most: it has to end within the platform's patience. */
const FORGET_AT_ONCE = 200;

/** A person's own pictures, or those that they starred. */
export type Shelf = "gallery" | "favorites";

const SHELVES: Record<Shelf, { next: Action; empty: StringKey }> = {
  gallery: { next: "gallery", empty: "gallery_empty" },
  favorites: { next: "next_favorite", empty: "favorites_empty" },
};

/** The shelf whose page a button turns. */
export const shelfOf = (action: Action): Shelf => (action === "next_favorite" ? "favorites" : "gallery");

/**
 * The newest picture of a shelf, or the one before `before`, with a button to the next.
 * @param now milliseconds since 1970
 * @throws {Told} when there is none
 */
export async function pageOf(
  api: Client,
  {
    shelf,
    user,
    before,
    origin,
    now,
  }: { shelf: Shelf; user: string; before: string | null; origin: Origin; now: number },
): Promise<{ view: View; generation: Generation }> {
  const found = await find(api, { status: "succeeded", [shelf === "gallery" ? "user" : "favorite_of"]: user }, before);
  const { next, empty } = SHELVES[shelf];
  if (!found) throw new Told(sentence(empty));
  const { generation, more } = found;
  const strings = stringsFor(origin.locale);
  const view = viewOf(generation, origin, now);
  const turn: Button = { action: next, id: generation.id, index: null, label: strings.next, tone: "primary" };
  const rows = shelf === "gallery" ? view.buttons : view.buttons.map((row) => row.map((one) => starless(one, strings)));
  return { generation, view: { ...view, headline: strings[shelf], buttons: [...rows, ...(more ? [[turn]] : [])] } };
}

const starless = (button: Button, strings: ReturnType<typeof stringsFor>): Button =>
  button.action === "favorite" ? { ...button, action: "unfavorite", label: strings.unfavorite } : button;

async function find(
  api: Client,
  query: { status: "succeeded"; user?: string; favorite_of?: string },
  before: string | null,
) {
  let seen = before === null;
  let cursor: string | undefined;
  let found: Generation | null = null;
  do {
    const limit = before === null ? 2 : PAGE;
    const page = await api.generations.list({ ...query, limit, ...(cursor ? { cursor } : {}) }, { signal: patience() });
    for (const generation of page.data) {
      if (found) return { generation: found, more: true };
      if (seen) found = generation;
      if (generation.id === before) seen = true;
    }
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return found && { generation: found, more: false };
}

/** Puts a picture among a person's favorites, or takes it away. */
export async function star(api: Client, user: string, id: string, on: boolean): Promise<void> {
  const options = { signal: patience() };
  await (on ? api.profiles.addFavorite(user, id, options) : api.profiles.removeFavorite(user, id, options));
}

/** Deletes what a person asked for, pictures and words, and what they prefer. */
export async function forget(api: Client, user: string): Promise<{ count: number; more: boolean }> {
  await api.profiles.forget(user, { signal: patience() });
  let count = 0;
  for (;;) {
    const { data } = await api.generations.list({ user, limit: PAGE }, { signal: patience() });
    if (data.length === 0 || count >= FORGET_AT_ONCE) return { count, more: data.length > 0 };
    for (const { id } of data) {
      await api.generations.delete(id, { signal: patience() });
      count++;
    }
  }
}
