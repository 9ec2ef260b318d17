import { COMMANDS } from "./commands.ts";

/** Reads and writes an application's global commands. */
export interface CommandStore {
  list(): Promise<unknown[]>;
  replace(commands: unknown[]): Promise<void>;
}

export interface Registration {
  changed: string[];
  removed: string[];
}

type Command = Record<string, unknown> & { name: string };

/**
 * Makes Discord's commands ours, and writes only when they are not: Discord counts creations per day, and every write
 * empties clients' caches.
 */
export async function register(store: CommandStore, wanted: Command[] = COMMANDS): Promise<Registration> {
  const present = (await store.list()) as Command[];
  const same = (command: Command) =>
    present.some(
      (other) => other.name === command.name && JSON.stringify(core(other)) === JSON.stringify(core(command)),
    );
  const changed = wanted.filter((command) => !same(command)).map(({ name }) => name);
  const names = new Set(wanted.map(({ name }) => name));
  const removed = present.filter(({ name }) => !names.has(name)).map(({ name }) => name);
  if (changed.length > 0 || removed.length > 0) await store.replace(wanted);
  return { changed, removed };
}

const KEPT = [
  "name",
  "name_localizations",
  "type",
  "description",
  "description_localizations",
  "options",
  "required",
  "autocomplete",
  "min_value",
  "max_value",
  "max_length",
  "contexts",
  "integration_types",
  "default_member_permissions",
];

/** A command without what Discord adds, in one order, defaults left out. */
function core(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(core);
  if (typeof value !== "object" || value === null) return value;
  const given = value as Record<string, unknown>;
  const known = KEPT.filter((name) => name in given && !isDefault(given[name]));
  return known.length > 0
    ? known.map((name) => [name, /_localizations$/.test(name) ? sorted(given[name]) : core(given[name])])
    : sorted(value);
}

const isDefault = (value: unknown) =>
  value === null || value === undefined || value === false || value === "" || (Array.isArray(value) && !value.length);

function sorted(value: unknown): unknown {
  return Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1));
}
