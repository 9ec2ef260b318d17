import { type Client, ClientError } from "../../client/index.ts";
import type { Verdict } from "../../contract/feedback.ts";
import type { Generation } from "../../contract/generation.ts";
import type { Model } from "../../contract/models.ts";
import type { Press } from "./custom-id.ts";
import { again, type Order, orderFor, vary } from "./order.ts";
import { type Origin, readOrigin, writeOrigin } from "./origin.ts";
import type { Clock } from "./pace.ts";
import type { ImagineRequest } from "./request.ts";
import { changeOf, groupOf, type RawSettings, settingsSaid } from "./settings.ts";
import { type Sentence, type StringKey, sentence } from "./strings.ts";
import { withoutPhrase } from "./styles.ts";
import { Told } from "./trouble.ts";

export interface StudioOptions {
  api: Client;
  clock: Clock;
  /** 0 to 1, below 1. */
  random: () => number;
}

const MODELS_FRESH_MS = 60_000;
const PATIENCE_MS = 20_000;
const PAGE = 100;
/** How far back a sentence is followed. */
const ANCESTORS = 8;
/** One press deletes so many at most: it has to end within the platform's patience. */
const FORGET_AT_ONCE = 200;

/** What the bots do through the API. Everything it throws has a sentence: see `sentenceFor`. */
export class Studio {
  readonly api: Client;
  readonly #clock: Clock;
  readonly #random: () => number;
  #models: { at: number; data: Model[] } | null = null;

  constructor({ api, clock, random }: StudioOptions) {
    this.api = api;
    this.#clock = clock;
    this.#random = random;
  }

  async models(): Promise<Model[]> {
    if (!this.#models || this.#clock.now() - this.#models.at > MODELS_FRESH_MS)
      this.#models = { at: this.#clock.now(), data: (await this.api.models.list({ signal: patience() })).data };
    return this.#models.data;
  }

  /** @throws {Told} when the models cannot, or the person may not */
  async imagine(request: ImagineRequest, origin: Origin, user: string): Promise<Generation> {
    const answer = orderFor(request, await this.models());
    if ("complaint" in answer) throw new Told(answer.complaint);
    return this.#create(answer.order, { ...origin, style: request.style ?? undefined }, user);
  }

  /** Reroll, Vary, Retry. */
  async repeat(press: Press, from: Generation, origin: Origin, user: string): Promise<Generation> {
    const order: Order = press.action === "vary" ? vary(from, press.index ?? 0, this.#random()) : again(from);
    const style = readOrigin(from.metadata)?.style;
    return this.#create(order, { ...origin, style, parent: from.id, how: press.action }, user);
  }

  /** Remix and Same seed: another sentence, everything else as it was. */
  async rewrite(from: Generation, request: ImagineRequest, origin: Origin, user: string, how: string) {
    const answer = orderFor({ ...request, count: from.parameters.num_images }, await this.models());
    if ("complaint" in answer) throw new Told(answer.complaint);
    const { negative_prompt: _, ...kept } = again(from);
    const order = { ...kept, ...answer.order };
    return this.#create(order, { ...origin, style: request.style ?? undefined, parent: from.id, how }, user);
  }

  async get(id: string): Promise<Generation> {
    return this.api.generations.get(id, { signal: patience() });
  }

  async delete(id: string): Promise<void> {
    await this.api.generations.delete(id, { signal: patience() });
  }

  async cancel(id: string): Promise<Generation> {
    return this.api.generations.cancel(id, { signal: patience() });
  }

  /** The person's newest picture, or the one before `id`; `more` tells whether an older one follows. */
  async gallery(user: string, before: string | null): Promise<{ generation: Generation; more: boolean } | null> {
    let seen = before === null;
    let cursor: string | undefined;
    let found: Generation | null = null;
    do {
      const page = await this.api.generations.list(
        { user, status: "succeeded", limit: before === null ? 2 : PAGE, ...(cursor ? { cursor } : {}) },
        { signal: patience() },
      );
      for (const generation of page.data) {
        if (found) return { generation: found, more: true };
        if (seen) found = generation;
        if (generation.id === before) seen = true;
      }
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
    return found && { generation: found, more: false };
  }

  /** One sentence for each limit that holds for the person, in the place they ask in. */
  async quotas(user: string, group: string | null): Promise<Sentence[]> {
    const { quotas } = await this.api.usage({ user, ...(group === null ? {} : { group }) });
    const personal = quotas.filter(({ policy }) => !/^(burst|requests)$/.test(policy));
    if (personal.length === 0) return [sentence("unlimited")];
    return personal.map(({ policy, limit, remaining }) => sentence(quotaKey(policy), { limit, remaining }));
  }

  /** Whether the person agreed before that such words are kept. */
  async hasAgreed(user: string): Promise<boolean> {
    return (await this.api.feedback.list({ user, limit: 1 }, { signal: patience() })).data.length > 0;
  }

  /** A picture of one's own. @throws {Told} when it is somebody else's */
  async own(id: string, user: string): Promise<Generation> {
    const generation = await this.get(id);
    requireOwner(generation, user, null);
    return generation;
  }

  /** Keeps whether a picture is what was meant, with the sentence that it began with. */
  async judge(id: string, verdict: Verdict, user: string): Promise<void> {
    const generation = await this.own(id, user);
    const said = sentenceOf(generation);
    const narrative = sentenceOf(await this.#first(generation));
    const changed = narrative === said ? {} : { narrative, changed_into: said };
    await this.api.feedback.give(id, { verdict, consent: true, user, ...changed }, { signal: patience() });
  }

  /** The generation that this one goes back to, as far as it is still there. */
  async #first(generation: Generation): Promise<Generation> {
    let first = generation;
    for (let steps = 0; steps < ANCESTORS; steps++) {
      const parent = readOrigin(first.metadata)?.parent;
      const before = parent ? await this.get(parent).catch(() => null) : null;
      if (!before) return first;
      first = before;
    }
    return first;
  }

  /** Changes what may be drawn in a place, or by one person there, and says what holds then. */
  async settings(group: string, raw: RawSettings, person: string | null): Promise<Sentence[]> {
    const before = await this.api.groups.get(group, { signal: patience() });
    const wanted = changeOf(raw, before, person);
    if ("complaints" in wanted) return wanted.complaints;
    const { change } = wanted;
    const holds = change ? await this.api.groups.update(group, change, { signal: patience() }) : before;
    return settingsSaid(holds, person);
  }

  /** Deletes what the person asked for, pictures and words. */
  async forget(user: string): Promise<{ count: number; more: boolean }> {
    let count = 0;
    for (;;) {
      const { data } = await this.api.generations.list({ user, limit: PAGE }, { signal: patience() });
      if (data.length === 0 || count >= FORGET_AT_ONCE) return { count, more: data.length > 0 };
      for (const { id } of data) {
        await this.delete(id);
        count++;
      }
    }
  }

  /** Every job of this platform that may still wait for its message: unfinished, or ended within `within` ms. */
  async *openJobs(chat: Origin["chat"], within: number): AsyncGenerator<{ generation: Generation; origin: Origin }> {
    let cursor: string | undefined;
    const oldest = this.#clock.now() - within;
    do {
      const page = await this.api.generations.list({ limit: PAGE, ...(cursor ? { cursor } : {}) });
      for (const generation of page.data) {
        if (Date.parse(generation.created_at) < oldest) return;
        const origin = readOrigin(generation.metadata);
        if (origin?.chat === chat) yield { generation, origin };
      }
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
  }

  async #create(order: Order, origin: Origin, user: string): Promise<Generation> {
    const group = groupOf(origin);
    try {
      return await this.api.generations.create(
        { ...order, user, ...(group === null ? {} : { group }), metadata: writeOrigin(origin) },
        { signal: patience() },
      );
    } catch (error) {
      // It was accepted before, for a message that stood elsewhere, and the answer was lost.
      const known = isRepeat(error) ? await this.#askedBy(origin.request, user) : undefined;
      if (!known) throw error;
      return known;
    }
  }

  async #askedBy(request: string, user: string): Promise<Generation | undefined> {
    const { data } = await this.api.generations.list({ user, limit: PAGE }, { signal: patience() });
    return data.find(({ metadata }) => readOrigin(metadata)?.request === request);
  }
}

/** What the person wrote, without what a style added. */
const sentenceOf = ({ prompt, metadata }: Generation) => withoutPhrase(prompt, readOrigin(metadata)?.style ?? null);

function quotaKey(policy: string): StringKey {
  const daily = policy.includes("day");
  if (policy.startsWith("group-user-")) return daily ? "quota_here_day" : "quota_here_now";
  if (policy.startsWith("group-") && daily) return "quota_all_day";
  return daily ? "quota_left_day" : "quota_left_now";
}

/** @throws {Told} unless it is theirs, or they moderate the place it was asked for in */
export function requireOwner(generation: Generation, user: string, moderates: string | null): void {
  if (generation.user === user) return;
  const place = readOrigin(generation.metadata)?.place;
  if (moderates !== null && place !== undefined && place === moderates) return;
  throw new Told(sentence("not_yours"));
}

const isRepeat = (error: unknown): boolean =>
  error instanceof ClientError &&
  (error.problem?.code === "idempotency_key_reused" || error.problem?.code === "idempotency_in_flight");

const patience = () => AbortSignal.timeout(PATIENCE_MS);
