import type { Client } from "../../client/index.ts";
import { type Canvas, MessageLost } from "../core/follow.ts";
import type { Origin } from "../core/origin.ts";
import type { Clock } from "../core/pace.ts";
import { say, stringsFor } from "../core/strings.ts";
import type { View } from "../core/view.ts";
import { DISCORD } from "./limits.ts";
import { renderView } from "./render.ts";
import { isLost, isSpent, isTooLarge, type Right, type Upload, type Wire } from "./wire.ts";

const MIB = 1024 * 1024;

/** The message of a job on Discord: edited by token while that lasts, then as a member where the bot is one. */
export class DiscordCanvas implements Canvas {
  readonly #wire: Wire;
  readonly #api: Client;
  readonly #clock: Clock;
  readonly #application: string;
  readonly #origin: Origin;

  constructor(options: { wire: Wire; api: Client; clock: Clock; application: string; origin: Origin }) {
    this.#wire = options.wire;
    this.#api = options.api;
    this.#clock = options.clock;
    this.#application = options.application;
    this.#origin = options.origin;
  }

  get until(): number | null {
    return this.#byMember ? null : (this.#origin.expires ?? 0);
  }

  async show(view: View): Promise<void> {
    const files = await this.#files(view);
    const limit = this.#origin.limit ?? DISCORD.file;
    if (files.some(({ data }) => data.byteLength > limit)) return this.#send(...this.#linked(view));
    try {
      await this.#send(renderView(view), files);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      await this.#send(...this.#linked(view));
    }
  }

  /** The pictures as links, where their files are too large. */
  #linked(view: View): [object, Upload[]] {
    const url = view.images.map((image) => image.url).join(" ");
    const limit = Math.floor((this.#origin.limit ?? DISCORD.file) / MIB);
    const line = say(stringsFor(this.#origin.locale), "too_large", { limit, url });
    return [renderView({ ...view, images: [] }, { line }), []];
  }

  async #files(view: View): Promise<Upload[]> {
    return Promise.all(
      view.images.map(async ({ url, filename, contentType, covered }) => ({
        name: covered ? `SPOILER_${filename}` : filename,
        contentType,
        data: await this.#api.image({ url }),
      })),
    );
  }

  async #send(body: object, files: Upload[]): Promise<void> {
    const { token, expires = 0, channel, message } = this.#origin;
    const right: Right | null = token ? { application: this.#application, token } : null;
    try {
      if (right && this.#clock.now() < expires) {
        try {
          return await this.#wire.editOriginal(right, body, files);
        } catch (error) {
          if (!isSpent(error) || !this.#byMember) throw error;
        }
      }
      if (!this.#byMember || !message) throw new MessageLost("The right to edit has ended.");
      await this.#wire.editMessage?.(channel, message, body, files);
    } catch (error) {
      throw isSpent(error) || isLost(error) ? new MessageLost("The message is out of reach.") : error;
    }
  }

  get #byMember(): boolean {
    return Boolean(this.#origin.member && this.#origin.message && this.#wire.editMessage);
  }
}
