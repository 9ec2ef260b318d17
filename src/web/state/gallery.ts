import { signal } from "@preact/signals";
import type { Generation, Status } from "../../contract/generation.ts";
import { api } from "./api.ts";
import { explain, type Trouble } from "./trouble.ts";

/** What the gallery is held to; null: nothing. */
export interface Filter {
  status: Status | null;
  shared: boolean;
  user: string;
}

export interface Shelf {
  filter: Filter;
  items: Generation[];
  /** Where the next page begins; null: there is none. Undefined: nothing has been asked for yet. */
  cursor: string | null | undefined;
  loading: boolean;
  trouble: Trouble | null;
}

export const FIRST: Filter = { status: "succeeded", shared: false, user: "" };
const PAGE = 60;

const EMPTY = { items: [], cursor: undefined, loading: false, trouble: null };
export const shelf = signal<Shelf>({ ...EMPTY, filter: FIRST });

let left = new AbortController();

function update(part: Partial<Shelf>): void {
  shelf.value = { ...shelf.value, ...part };
}

/** Shows what the filter lets through, from the newest on. */
export function setFilter(part: Partial<Filter>): void {
  left.abort();
  shelf.value = { ...EMPTY, filter: { ...shelf.value.filter, ...part } };
  void more();
}

/** Fetches the next page, if there is one and none is on its way. */
export async function more(): Promise<void> {
  const { cursor, loading } = shelf.value;
  if (cursor === null || loading) return;
  const page = await fetchPage(cursor);
  if (page) update({ items: [...shelf.value.items, ...page.data], cursor: page.next_cursor });
}

/** Looks for what is new; what is there already stays where it is. */
export async function refresh(): Promise<void> {
  if (shelf.value.cursor === undefined) return more();
  if (shelf.value.loading) return;
  const page = await fetchPage(undefined);
  if (!page) return;
  const fresh = new Map(page.data.map((generation) => [generation.id, generation]));
  const kept = shelf.value.items.filter(({ id }) => !fresh.has(id));
  // Older than the page ends: not looked at, so still there. Newer and not in it: deleted elsewhere.
  const oldest = page.data.at(-1)?.id ?? "";
  const older = page.next_cursor === null ? [] : kept.filter(({ id }) => id < oldest);
  update({
    items: [...fresh.values(), ...older],
    cursor: older.length > 0 ? (shelf.value.cursor ?? null) : page.next_cursor,
  });
}

async function fetchPage(cursor: string | undefined) {
  const client = api.value;
  if (!client) return null;
  left.abort();
  left = new AbortController();
  const { signal } = left;
  const { status, shared, user } = shelf.value.filter;
  update({ loading: true, trouble: null });
  try {
    return await client.generations.list(
      {
        limit: PAGE,
        ...(cursor === undefined ? {} : { cursor }),
        ...(status === null ? {} : { status }),
        ...(shared ? { shared: "true" } : {}),
        ...(user.trim() === "" ? {} : { user: user.trim() }),
      },
      { signal },
    );
  } catch (error) {
    if (!signal.aborted) update({ trouble: explain(error) });
    return null;
  } finally {
    if (!signal.aborted) update({ loading: false });
  }
}

/** Puts a generation as it is now in the place of what is shown of it. */
export function replace(generation: Generation): void {
  update({ items: shelf.value.items.map((each) => (each.id === generation.id ? generation : each)) });
}

/** Deletes a generation with its pictures, here and at the edge. @throws what the API refuses */
export async function remove(id: string): Promise<void> {
  await api.value?.generations.delete(id);
  update({ items: shelf.value.items.filter((each) => each.id !== id) });
}

/** The one before and the one after in the order of the gallery. */
export function neighbours(id: string): { before: string | null; after: string | null } {
  const { items } = shelf.value;
  const at = items.findIndex((each) => each.id === id);
  if (at < 0) return { before: null, after: null };
  return { before: items[at - 1]?.id ?? null, after: items[at + 1]?.id ?? null };
}
