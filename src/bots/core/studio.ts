import { type Client, ClientError } from "../../client/index.ts";
import type { Generation } from "../../contract/generation.ts";
import type { Model } from "../../contract/models.ts";
import { patience } from "./api.ts";
import type { Press } from "./custom-id.ts";
import { again, type Order, orderFor, vary } from "./order.ts";
import { type Origin, readOrigin, writeOrigin } from "./origin.ts";
import type { Clock } from "./pace.ts";
import { preferencesOf, withPreferences } from "./preferences.ts";
import type { ImagineRequest } from "./request.ts";
import { groupOf } from "./settings.ts";
import { sentence } from "./strings.ts";
import { Told } from "./trouble.ts";

export interface StudioOptions {
  api: Client;
  clock: Clock;
  /** 0 to 1, below 1. */
  random: () => number;
}

const MODELS_FRESH_MS = 60_000;
const PAGE = 100;

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
  async imagine(asked: ImagineRequest, origin: Origin, user: string): Promise<Generation> {
    const [models, preferences] = await Promise.all([this.models(), preferencesOf(this.api, origin, user)]);
    const request = withPreferences(asked, preferences);
    const answer = orderFor(request, models, origin.limit);
    if ("complaint" in answer) throw new Told(answer.complaint);
    return this.#create(answer.order, { ...origin, style: request.style ?? undefined }, user);
  }

  /** Reroll, Vary, Retry. */
  async repeat(press: Press, from: Generation, origin: Origin, user: string): Promise<Generation> {
    const order: Order =
      press.action === "vary" ? vary(from, press.index ?? 0, this.#random(), origin.limit) : again(from, origin.limit);
    const style = readOrigin(from.metadata)?.style;
    return this.#create(order, { ...origin, style, parent: from.id, how: press.action }, user);
  }

  /** Remix and Same seed: another sentence, everything else as it was. */
  async rewrite(from: Generation, request: ImagineRequest, origin: Origin, user: string, how: string) {
    const answer = orderFor({ ...request, count: from.parameters.num_images }, await this.models(), origin.limit);
    if ("complaint" in answer) throw new Told(answer.complaint);
    const { negative_prompt: _, output_format, ...kept } = again(from, origin.limit);
    // Its size stays, and with it what fits.
    const order = { ...kept, ...answer.order, output_format };
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

  /** A picture of one's own. @throws {Told} when it is somebody else's */
  async own(id: string, user: string): Promise<Generation> {
    const generation = await this.get(id);
    requireOwner(generation, user, null);
    return generation;
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
