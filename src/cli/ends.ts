import type { Cancelable, Client } from "../client/index.ts";
import { type Generation, isTerminal, type ListInput } from "../contract/index.ts";
import { given } from "./options.ts";

const PAGE = 100;

/** Which generations end from now on: looks at the newest, and as far back as one has not ended. */
export class Ends {
  readonly #client: Client;
  /** What is older had ended before the first look. */
  readonly #since: string;
  readonly #told: Set<string>;
  #reach: string;

  private constructor(client: Client, found: Generation[]) {
    this.#client = client;
    this.#since = found.at(-1)?.id ?? "";
    this.#told = new Set(found.filter(({ status }) => isTerminal(status)).map(({ id }) => id));
    this.#reach = reachOf(found) ?? "";
  }

  static async from(client: Client, options: Cancelable = {}): Promise<Ends> {
    // In this order: one that begins to run between the two is seen among the running.
    const queued = await backTo("", client, { status: "queued" }, options);
    const running = await backTo("", client, { status: "running" }, options);
    const [oldest = null] = [...queued, ...running].map(({ id }) => id).sort();
    return new Ends(client, await backTo(oldest, client, {}, options));
  }

  /** What has ended since the last look, oldest first; each is told once. */
  async next(options: Cancelable = {}): Promise<Generation[]> {
    const found = await backTo(this.#reach, this.#client, {}, options);
    this.#reach = reachOf(found) ?? this.#reach;
    const ended = found.filter(({ id, status }) => isTerminal(status) && id >= this.#since && !this.#told.has(id));
    for (const { id } of ended) this.#told.add(id);
    return ended.reverse();
  }
}

/** How far the next look must go: to the oldest that has not ended, else to the newest of all. */
function reachOf(found: Generation[]): string | undefined {
  return (found.findLast(({ status }) => !isTerminal(status)) ?? found[0])?.id;
}

/** Newest first: a page, and those behind it until `oldest` is among them; null: the one page. Ids sort by time. */
async function backTo(
  oldest: string | null,
  client: Client,
  query: ListInput,
  options: Cancelable,
): Promise<Generation[]> {
  const found: Generation[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.generations.list(given({ ...query, limit: PAGE, cursor }), options);
    found.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined && oldest !== null && (found.at(-1)?.id ?? "") > oldest);
  return found;
}
