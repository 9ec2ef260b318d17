import { DurableObject } from "cloudflare:workers";
import { systemClock } from "../../bots/core/pace.ts";
import { askOf } from "../../bots/slack/payload.ts";
import { LocalTurns } from "../../bots/slack/turns.ts";
import type { CallOptions } from "../../bots/slack/wire.ts";
import { createApp } from "../app.ts";
import type { Bindings } from "../env.ts";
import { discordDeps, keepDiscord, work } from "./discord.ts";
import { readChatSettings } from "./settings.ts";
import { keepSlack, slackDeps, slackWork } from "./slack.ts";
import { type ChatTask, isDoneOnce } from "./task.ts";

const TASK = "task";
const DONE = "done";
const MADE = "made:";
/** Slack tries again after an hour at the latest (docs.slack.dev/apis/events-api). */
const REMEMBERED_MS = 2 * 60 * 60 * 1000;
/** An alarm may run for 15 minutes (developers.cloudflare.com/durable-objects/platform/limits); then the next goes on. */
const SHIFT_MS = 10 * 60 * 1000;

let app: ReturnType<typeof createApp> | undefined;

/**
 * Does one task at a time, in its alarm: what follows a chat's command may take longer than the 30 s that a worker has
 * after its answer, and must not end with the isolate that began it. An alarm that fails or is cut off runs again.
 */
export class ChatTaskObject extends DurableObject<Bindings> {
  #stop = new AbortController();
  readonly #turns = new LocalTurns(systemClock);

  /** Takes a task in place of the one that may be under way: a newer one brings a fresher right to edit. */
  async start(task: ChatTask): Promise<void> {
    if (isDoneOnce(task) && (await this.ctx.storage.get([TASK, DONE])).size > 0) return;
    await this.ctx.storage.put(TASK, task);
    this.#stop.abort();
    await this.ctx.storage.setAlarm(Date.now());
  }

  /** In how many milliseconds a workspace may be called, for all tasks in it; null: what is optional is left out. */
  async turn(method: string, channel: string, options: CallOptions): Promise<number | null> {
    return this.#turns.claim(method, channel, options);
  }

  override async alarm(): Promise<void> {
    const task = await this.ctx.storage.get<ChatTask>(TASK);
    if (!task) return this.ctx.storage.deleteAll();
    const stop = new AbortController();
    this.#stop = stop;
    let over = false;
    const shift = setTimeout(() => {
      over = true;
      stop.abort();
    }, SHIFT_MS);
    try {
      await this.#perform(task, stop.signal);
    } finally {
      clearTimeout(shift);
    }
    if (over) await this.ctx.storage.setAlarm(Date.now());
    // An aborted task has left its place to a newer one.
    else if (!stop.signal.aborted) await this.#end(task);
  }

  async #end(task: ChatTask): Promise<void> {
    await this.ctx.storage.deleteAll();
    if (!isDoneOnce(task)) return;
    await this.ctx.storage.put(DONE, true);
    await this.ctx.storage.setAlarm(Date.now() + REMEMBERED_MS);
  }

  async #perform(task: ChatTask, signal: AbortSignal): Promise<void> {
    const settings = readChatSettings(this.env);
    if (!settings) return;
    app ??= createApp();
    const own = app;
    const context = {
      waitUntil: (promise: Promise<unknown>) => this.ctx.waitUntil(promise),
      passThroughOnException() {},
    } as unknown as ExecutionContext;
    const call = (request: Request) => own.fetch(request, this.env, context);
    switch (task.kind) {
      case "discord_work":
        return work(discordDeps(this.env, settings, call, task.interaction), task.interaction);
      case "discord_follow": {
        const interaction = { id: task.origin.request, application_id: task.application };
        return keepDiscord(discordDeps(this.env, settings, call, interaction), task, signal);
      }
      case "slack_work": {
        const { request } = askOf(task.delivery, task.arrived);
        const once = <T>(name: string, make: () => Promise<T>) => this.#once(name, make);
        return slackWork(await slackDeps(this.env, settings, call, { request, once }), task);
      }
      case "slack_follow":
        return keepSlack(await slackDeps(this.env, settings, call, { request: task.origin.request }), task, signal);
    }
  }

  /** What was made by an attempt before this one is made no more. */
  async #once<T>(name: string, make: () => Promise<T>): Promise<T> {
    const known = await this.ctx.storage.get<T>(MADE + name);
    if (known !== undefined) return known;
    const made = await make();
    await this.ctx.storage.put(MADE + name, made);
    return made;
  }
}
