import type { Account, UpdateAccountInput } from "../contract/accounts.ts";
import type { GenerationEvent } from "../contract/events.ts";
import type { Feedback, FeedbackInput, FeedbackList, GiveFeedback } from "../contract/feedback.ts";
import type { CreateGenerationInput, Generation, GenerationList, Image, ListInput } from "../contract/generation.ts";
import type { Group, UpdateGroup } from "../contract/groups.ts";
import type { CreatedKey, CreateKey, Key, KeyList, UpdateKey } from "../contract/keys.ts";
import type { ModelList } from "../contract/models.ts";
import type { Policy, SetPolicyInput } from "../contract/policy.ts";
import type { Profile, UpdateProfile } from "../contract/profiles.ts";
import type { Readiness } from "../contract/readiness.ts";
import type { Share } from "../contract/shares.ts";
import { EVENT_NAMES } from "../contract/terms.ts";
import type { Usage, UsageInput } from "../contract/usage.ts";
import type {
  CreatedWebhookEndpoint,
  CreateWebhookEndpointInput,
  UpdateWebhookEndpoint,
  WebhookDelivery,
  WebhookDeliveryList,
  WebhookEndpoint,
  WebhookEndpointList,
  WebhookSecret,
} from "../contract/webhooks.ts";
import { ClientError, StreamError } from "./errors.ts";
import { parseEvents } from "./sse.ts";

export type { Account, UpdateAccountInput } from "../contract/accounts.ts";
export type { GenerationEvent, Preview } from "../contract/events.ts";
export type { Feedback, FeedbackInput, FeedbackList, GiveFeedback } from "../contract/feedback.ts";
export type {
  CreateGenerationInput,
  Generation,
  GenerationList,
  Image,
  ListInput,
  Progress,
} from "../contract/generation.ts";
export type { Group, UpdateGroup } from "../contract/groups.ts";
export type { CreatedKey, CreateKey, Key, KeyList, UpdateKey } from "../contract/keys.ts";
export type { Model, ModelList } from "../contract/models.ts";
export type { Policy, SetPolicyInput } from "../contract/policy.ts";
export type { Problem } from "../contract/problem.ts";
export type { Profile, UpdateProfile } from "../contract/profiles.ts";
export type { Readiness } from "../contract/readiness.ts";
export type { Share } from "../contract/shares.ts";
export { isTerminal } from "../contract/terms.ts";
export type { Usage, UsageInput } from "../contract/usage.ts";
export type {
  CreatedWebhookEndpoint,
  CreateWebhookEndpointInput,
  GenerationMessage,
  UpdateWebhookEndpoint,
  WebhookDelivery,
  WebhookDeliveryList,
  WebhookEndpoint,
  WebhookEndpointList,
  WebhookSecret,
} from "../contract/webhooks.ts";
export { ClientError, StreamError } from "./errors.ts";

export interface ClientOptions {
  /** Where the edge answers, such as `http://127.0.0.1:8787`. */
  url: string;
  apiKey: string;
  fetch?: typeof fetch;
  /** Waits between two tries to reach a stream again; injected by tests. */
  sleep?: (ms: number) => Promise<void>;
  /** Hears `Vignette-Notice` of each answer that has one: that a webhook endpoint of the account is out of use. */
  onNotice?: (notice: string) => void;
}

export interface Cancelable {
  signal?: AbortSignal;
}

export interface CreateOptions {
  wait?: number;
  idempotencyKey?: string;
  fresh?: boolean;
}

/** For operators: another account than the key's. */
type OfAccount = { account?: string };
type Overlap = { overlapSeconds?: number };

/** An event as the stream carries it; its id resumes after it, as `lastEventId`. */
export type StreamedEvent = GenerationEvent & { id: string };

/** How often in a row a stream may bring nothing before it is given up. */
const RECONNECTS = 8;
const LONGEST_PAUSE_MS = 10_000;

/** The API as functions. Refusals throw {@link ClientError}; an unreachable server throws what `fetch` throws. */
export class Client {
  readonly #url: string;
  readonly #apiKey: string;
  readonly #fetch: typeof fetch;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #onNotice: (notice: string) => void;

  constructor({ url, apiKey, fetch: fetcher, sleep, onNotice }: ClientOptions) {
    this.#url = url.replace(/\/+$/, "");
    this.#apiKey = apiKey;
    this.#fetch = fetcher ?? ((input, init) => fetch(input, init));
    this.#sleep = sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.#onNotice = onNotice ?? (() => {});
  }

  readonly generations = {
    /**
     * @param options.wait seconds (1 to 60) to hold the answer back until the generation ends
     * @param options.idempotencyKey a repeat with the same key within 24 hours draws nothing and gets the same answer
     * @param options.fresh draws a seeded request anew instead of answering from the cache
     */
    create: (
      request: CreateGenerationInput,
      { wait, idempotencyKey, fresh, signal }: Cancelable & CreateOptions = {},
    ): Promise<Generation> =>
      this.#json("POST", "/v1/generations", {
        body: request,
        signal,
        headers: {
          ...(wait ? { Prefer: `wait=${wait}` } : {}),
          ...(idempotencyKey ? { "Idempotency-Key": idempotencyKey } : {}),
          ...(fresh ? { "Cache-Control": "no-cache" } : {}),
        },
      }),

    get: (id: string, { signal }: Cancelable = {}): Promise<Generation> =>
      this.#json("GET", generation(id), { signal }),

    list: (query: ListInput = {}, { signal }: Cancelable = {}): Promise<GenerationList> =>
      this.#json("GET", `/v1/generations${search({ ...query })}`, { signal }),

    delete: (id: string, { signal }: Cancelable = {}): Promise<void> => this.#empty("DELETE", generation(id), signal),

    cancel: (id: string, { signal }: Cancelable = {}): Promise<Generation> =>
      this.#json("POST", `${generation(id)}/cancel`, { signal }),

    /** Gives one of its pictures a public page. @param options.showPrompt whether the page shows the sentence; it does when left out */
    share: (id: string, index: number, { showPrompt }: { showPrompt?: boolean } = {}): Promise<Share> =>
      this.#json("POST", `${generation(id)}/images/${index}/share`, {
        body: showPrompt === undefined ? {} : { show_prompt: showPrompt },
      }),

    unshare: (id: string, index: number): Promise<void> =>
      this.#empty("DELETE", `${generation(id)}/images/${index}/share`),

    /**
     * Its events until the end; a broken stream is resumed after the last event seen.
     * @param options.lastEventId begins after this event
     * @throws {@link StreamError} when the stream ends again and again with nothing in it
     */
    events: (id: string, options: Cancelable & { lastEventId?: string } = {}): AsyncGenerator<StreamedEvent> =>
      this.#events(id, options),

    /** The ended generation, whatever its end. */
    wait: async (id: string, options: Cancelable = {}): Promise<Generation> => {
      for await (const event of this.#events(id, options)) if (event.type === "completed") return event.data;
      return this.generations.get(id, options);
    },
  };

  readonly models = {
    list: ({ signal }: Cancelable = {}): Promise<ModelList> => this.#json("GET", "/v1/models", { signal }),
  };

  /** `account` is for operators: another account's keys. */
  readonly keys = {
    create: (request: CreateKey): Promise<CreatedKey> => this.#json("POST", "/v1/keys", { body: request }),
    list: (query: { limit?: number; cursor?: string } & OfAccount = {}): Promise<KeyList> =>
      this.#json("GET", `/v1/keys${search(query)}`),
    get: (id: string, query: OfAccount = {}): Promise<Key> => this.#json("GET", `${keyPath(id)}${search(query)}`),
    update: (id: string, change: UpdateKey, query: OfAccount = {}): Promise<Key> =>
      this.#json("PATCH", `${keyPath(id)}${search(query)}`, { body: change }),
    /** @param options.overlapSeconds how long the old secret still works; an hour when left out */
    rotate: (id: string, { overlapSeconds, ...query }: Overlap & OfAccount = {}): Promise<CreatedKey> =>
      this.#json("POST", `${keyPath(id)}/rotate${search(query)}`, { body: overlap(overlapSeconds) }),
    revoke: (id: string, query: OfAccount = {}): Promise<void> =>
      this.#empty("DELETE", `${keyPath(id)}${search(query)}`),
  };

  readonly webhookEndpoints = {
    create: (request: CreateWebhookEndpointInput): Promise<CreatedWebhookEndpoint> =>
      this.#json("POST", "/v1/webhook-endpoints", { body: request }),
    list: (query: { limit?: number; cursor?: string } = {}): Promise<WebhookEndpointList> =>
      this.#json("GET", `/v1/webhook-endpoints${search(query)}`),
    get: (id: string): Promise<WebhookEndpoint> => this.#json("GET", endpoint(id)),
    update: (id: string, change: UpdateWebhookEndpoint): Promise<WebhookEndpoint> =>
      this.#json("PATCH", endpoint(id), { body: change }),
    delete: (id: string): Promise<void> => this.#empty("DELETE", endpoint(id)),
    /** @param options.overlapSeconds how long messages are signed with the old secret too; a day when left out */
    rotateSecret: (id: string, { overlapSeconds }: Overlap = {}): Promise<CreatedWebhookEndpoint> =>
      this.#json("POST", `${endpoint(id)}/rotate-secret`, { body: overlap(overlapSeconds) }),
    test: (id: string): Promise<WebhookDelivery> => this.#json("POST", `${endpoint(id)}/test`),
    /** @param id an endpoint's, or `requests` for what went to requests' own `webhook_url` */
    deliveries: (id: string, query: { limit?: number; cursor?: string } = {}): Promise<WebhookDeliveryList> =>
      this.#json("GET", `${endpoint(id)}/deliveries${search(query)}`),
    redeliver: (id: string, delivery: string): Promise<WebhookDelivery> =>
      this.#json("POST", `${endpoint(id)}/deliveries/${encodeURIComponent(delivery)}/redeliver`),
    /** What signs messages to a request's own `webhook_url`. */
    defaultSecret: (): Promise<WebhookSecret> => this.#json("GET", "/v1/webhook-endpoints/default-secret"),
    /** @param options.overlapSeconds how long messages are signed with the old one too; a day when left out */
    rotateDefaultSecret: ({ overlapSeconds }: Overlap = {}): Promise<WebhookSecret> =>
      this.#json("POST", "/v1/webhook-endpoints/default-secret/rotate", { body: overlap(overlapSeconds) }),
  };

  readonly account = {
    get: (query: OfAccount = {}): Promise<Account> => this.#json("GET", `/v1/account${search(query)}`),
    /** Erases it with all it has; only its usage stays. @param query.confirm its id once more */
    erase: (query: { confirm: string } & OfAccount): Promise<Account> =>
      this.#json("DELETE", `/v1/account${search(query)}`),
    update: (change: UpdateAccountInput): Promise<Account> => this.#json("PATCH", "/v1/account", { body: change }),
  };

  /** Which prompts are taken; `account` is for operators, `"*"` means every account. */
  readonly policy = {
    get: (query: OfAccount = {}): Promise<Policy> => this.#json("GET", `/v1/policy${search(query)}`),
    set: (policy: SetPolicyInput, query: OfAccount = {}): Promise<Policy> =>
      this.#json("PUT", `/v1/policy${search(query)}`, { body: policy }),
    remove: (query: OfAccount = {}): Promise<void> => this.#empty("DELETE", `/v1/policy${search(query)}`),
    /** @param options.overlapSeconds how long the moderation hook is asked with the old secret too; a day when left out */
    rotateSecret: ({ overlapSeconds, ...query }: Overlap & OfAccount = {}): Promise<Policy> =>
      this.#json("POST", `/v1/policy/rotate-secret${search(query)}`, { body: overlap(overlapSeconds) }),
  };

  readonly feedback = {
    /** What a person said of a picture, and agreed to have kept. */
    give: (id: string, given: GiveFeedback, { signal }: Cancelable = {}): Promise<Feedback> =>
      this.#json("PUT", `${generation(id)}/feedback`, { body: given, signal }),
    takeBack: (id: string, { signal }: Cancelable = {}): Promise<void> =>
      this.#empty("DELETE", `${generation(id)}/feedback`, signal),
    list: (query: FeedbackInput = {}, { signal }: Cancelable = {}): Promise<FeedbackList> =>
      this.#json("GET", `/v1/feedback${search({ ...query })}`, { signal }),
  };

  readonly groups = {
    get: (id: string, { signal }: Cancelable = {}): Promise<Group> => this.#json("GET", group(id), { signal }),
    update: (id: string, change: UpdateGroup, { signal }: Cancelable = {}): Promise<Group> =>
      this.#json("PATCH", group(id), { body: change, signal }),
  };

  /** What you keep for your end users, and for places of theirs. */
  readonly profiles = {
    get: (id: string, { signal }: Cancelable = {}): Promise<Profile> => this.#json("GET", profile(id), { signal }),
    update: (id: string, change: UpdateProfile, { signal }: Cancelable = {}): Promise<Profile> =>
      this.#json("PATCH", profile(id), { body: change, signal }),
    /** Its preferences and favorites; what it drew stays. */
    forget: (id: string, { signal }: Cancelable = {}): Promise<void> => this.#empty("DELETE", profile(id), signal),
    addFavorite: (id: string, generation: string, { signal }: Cancelable = {}): Promise<void> =>
      this.#empty("PUT", `${profile(id)}/favorites/${encodeURIComponent(generation)}`, signal),
    removeFavorite: (id: string, generation: string, { signal }: Cancelable = {}): Promise<void> =>
      this.#empty("DELETE", `${profile(id)}/favorites/${encodeURIComponent(generation)}`, signal),
  };

  /** What was drawn per day, and what is left of every limit. */
  usage(query: UsageInput = {}): Promise<Usage> {
    return this.#json("GET", `/v1/usage${search({ ...query })}`);
  }

  /** Whether pictures can be drawn now, and what is wrong; it needs no key. */
  async readiness({ signal }: Cancelable = {}): Promise<Readiness> {
    const response = await this.#fetch(`${this.#url}/readyz`, { signal: signal ?? null });
    if (!response.ok && response.status !== 503) throw await ClientError.from(response);
    return response.json() as Promise<Readiness>;
  }

  /** An image's bytes. */
  async image({ url }: Pick<Image, "url">, { signal }: Cancelable = {}): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.#fetch(url, { signal: signal ?? null });
    if (!response.ok) throw await ClientError.from(response);
    return new Uint8Array(await response.arrayBuffer());
  }

  async *#events(
    id: string,
    { signal, lastEventId = "" }: Cancelable & { lastEventId?: string },
  ): AsyncGenerator<StreamedEvent> {
    let last = lastEventId;
    let failures = 0;
    // A stream that is kept alive in silence is as good as one with events.
    const heard = () => {
      failures = 0;
    };
    for (;;) {
      let failure: unknown = null;
      try {
        const headers: Record<string, string> = {
          Accept: "text/event-stream",
          ...(last ? { "Last-Event-ID": last } : {}),
        };
        const response = await this.#request("GET", `${generation(id)}/events`, { signal, headers });
        if (response.status === 204 || !response.body) return;
        for await (const { id: eventId, event, data } of parseEvents(response.body, heard)) {
          heard();
          last = eventId;
          // An event of a later version is none of ours.
          if (!isKnown(event)) continue;
          // Typed by the same contract that makes it, like every answer.
          yield { id: eventId, type: event, data: JSON.parse(data) } as StreamedEvent;
          if (event === "completed") return;
        }
      } catch (error) {
        if (signal?.aborted || (error instanceof ClientError && error.status < 500)) throw error;
        failure = error;
      }
      if (++failures > RECONNECTS) throw failure ?? new StreamError();
      await this.#sleep(Math.min(LONGEST_PAUSE_MS, 250 * 2 ** failures) * Math.random());
    }
  }

  async #json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    // The edge's answers are typed by the same contract that makes them.
    return (await this.#request(method, path, options)).json() as Promise<T>;
  }

  async #empty(method: string, path: string, signal?: AbortSignal): Promise<void> {
    await this.#request(method, path, { signal });
  }

  async #request(method: string, path: string, { body, signal, headers }: RequestOptions): Promise<Response> {
    const response = await this.#fetch(`${this.#url}${path}`, {
      method,
      signal: signal ?? null,
      headers: {
        Authorization: `Bearer ${this.#apiKey}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const notice = response.headers.get("Vignette-Notice");
    if (notice !== null) this.#onNotice(notice);
    if (!response.ok) throw await ClientError.from(response);
    return response;
  }
}

function isKnown(event: string): event is GenerationEvent["type"] {
  return (EVENT_NAMES as readonly string[]).includes(event);
}

interface RequestOptions {
  body?: unknown;
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
}

function generation(id: string): string {
  return `/v1/generations/${encodeURIComponent(id)}`;
}

function group(id: string): string {
  return `/v1/groups/${encodeURIComponent(id)}`;
}

function profile(id: string): string {
  return `/v1/profiles/${encodeURIComponent(id)}`;
}

function keyPath(id: string): string {
  return `/v1/keys/${encodeURIComponent(id)}`;
}

function endpoint(id: string): string {
  return `/v1/webhook-endpoints/${encodeURIComponent(id)}`;
}

/** The body of a rotation. */
const overlap = (seconds: number | undefined) => (seconds === undefined ? {} : { overlap_seconds: seconds });

function search(query: Record<string, unknown>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString();
  return text && `?${text}`;
}
