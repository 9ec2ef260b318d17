import type { Client } from "../../client/index.ts";
import { type Canvas, MessageLost } from "../core/follow.ts";
import type { Origin } from "../core/origin.ts";
import type { Clock } from "../core/pace.ts";
import { say, stringsFor } from "../core/strings.ts";
import type { View, ViewImage } from "../core/view.ts";
import { type Rendered, renderView } from "./render.ts";
import { uploadVerified } from "./upload.ts";
import { isBadBlock, isLost, isTooLarge, NoTurn, type SlackWire } from "./wire.ts";

export interface SlackCanvasOptions {
  wire: SlackWire;
  api: Client;
  clock: Clock;
  origin: Origin;
  /** Slack's id of who asked. */
  person: string | null;
  reachable: (url: string) => string | null;
}

type Picture = { file: string } | { url: string };

/**
 * The message of a job on Slack: the bot's own, edited as often as the workspace allows; or one that only the asker sees,
 * through a response URL, which posts five times and so shows a beginning and an end only.
 */
export class SlackCanvas implements Canvas {
  readonly #options: SlackCanvasOptions;
  readonly #uploaded = new Map<string, Picture | null>();
  #begun = false;

  constructor(options: SlackCanvasOptions) {
    this.#options = options;
  }

  get until(): number | null {
    const { message, expires = null } = this.#options.origin;
    return message ? null : expires;
  }

  async show(view: View): Promise<void> {
    const over = view.state !== "queued" && view.state !== "drawing";
    const { message, token } = this.#options.origin;
    if (!message && !over) {
      if (this.#begun || !token) return;
      this.#begun = true;
    }
    try {
      await this.write(view, (body) => this.#send(body, over));
    } catch (error) {
      if (error instanceof NoTurn) return;
      throw isLost(error) ? new MessageLost("The message is out of reach.") : error;
    }
  }

  /** Sends a view with its pictures, or where Slack does not take those, with where else they are. */
  async write(view: View, send: (body: Rendered) => Promise<unknown>): Promise<void> {
    const now = this.#options.clock.now();
    const pictures = await this.#pictures(view.images);
    if (pictures.every((picture) => picture !== null)) {
      try {
        return void (await send(renderView(view, { pictures, now })));
      } catch (error) {
        if (!isBadBlock(error) || pictures.length === 0) throw error;
      }
    }
    const urls = view.images.map(({ url }) => this.#options.reachable(url));
    if (urls.every((url) => url !== null)) {
      try {
        return void (await send(renderView(view, { pictures: urls.map((url) => ({ url })), now })));
      } catch (error) {
        if (!isBadBlock(error)) throw error;
      }
    }
    const line = say(stringsFor(this.#options.origin.locale), "no_share", {
      url: view.images.map(({ url }) => url).join(" "),
    });
    await send(renderView({ ...view, images: [] }, { line, now }));
  }

  async #pictures(images: ViewImage[]): Promise<(Picture | null)[]> {
    return Promise.all(
      images.map(async ({ url, filename }) => {
        // The last state may have to be sent again; its pictures need not.
        const known = this.#uploaded.get(url);
        if (known !== undefined) return known;
        const picture = await this.#upload(url, filename);
        this.#uploaded.set(url, picture);
        return picture;
      }),
    );
  }

  async #upload(url: string, name: string): Promise<Picture | null> {
    const { wire, api, clock } = this.#options;
    const data = await api.image({ url });
    try {
      const file = await uploadVerified(wire, clock, { name, data });
      return file === null ? null : { file };
    } catch (error) {
      if (isTooLarge(error)) return null;
      throw error;
    }
  }

  async #send({ text, blocks }: Rendered, over: boolean): Promise<void> {
    const { wire, origin, person } = this.#options;
    const { channel, message, thread, token } = origin;
    if (message) {
      await wire.call("chat.update", { channel, ts: message, text, blocks }, { optional: !over });
    } else if (token) {
      await wire.respond(token, { response_type: "ephemeral", replace_original: true, text, blocks });
    } else if (person) {
      await wire.call("chat.postEphemeral", { channel, user: person, thread_ts: thread, text, blocks });
    }
  }
}
