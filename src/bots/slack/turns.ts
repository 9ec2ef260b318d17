import type { Clock } from "../core/pace.ts";
import { RATES } from "./limits.ts";
import { type CallOptions, NoTurn, type SlackWire } from "./wire.ts";

/** Who may call a method when. */
export interface Turns {
  /** Waits for a turn. @throws {@link NoTurn} for what is optional when there is none to spare */
  take(method: string, channel: string, options?: CallOptions): Promise<void>;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Keeps one workspace's calls below Slack's limits, those that can wait behind those that cannot. */
export class LocalTurns implements Turns {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async take(method: string, channel: string, options?: CallOptions): Promise<void> {
    const wait = this.claim(method, channel, options);
    if (wait === null) throw new NoTurn(method);
    if (wait > 0) await this.#clock.sleep(wait);
  }

  /** Takes a turn; in how many milliseconds it comes, or null for what is optional when there is none to spare. */
  claim(method: string, channel: string, { optional = false }: CallOptions = {}): number | null {
    const rate = RATES[method];
    if (!rate) return 0;
    // Only posting is counted by channel.
    const name = method === "chat.postMessage" ? `${method} ${channel}` : method;
    const now = this.#clock.now();
    const before = this.#buckets.get(name) ?? { tokens: rate.burst, at: now };
    const tokens = Math.min(rate.burst, before.tokens + ((now - before.at) / 1000) * rate.perSecond);
    if (optional && tokens - 1 < rate.spared) return null;
    this.#buckets.set(name, { tokens: tokens - 1, at: now });
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / rate.perSecond) * 1000);
  }
}

export function pacedWire(wire: SlackWire, turns: Turns): SlackWire {
  return {
    ...wire,
    async call(method, args, options) {
      await turns.take(method, String(args.channel ?? ""), options);
      return wire.call(method, args);
    },
  };
}
