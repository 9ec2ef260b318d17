import { DurableObject } from "cloudflare:workers";
import { createApp } from "../app.ts";
import type { Bindings } from "../env.ts";
import { discordDeps, keep, work } from "./discord.ts";
import { readChatSettings } from "./settings.ts";
import type { ChatTask } from "./task.ts";

const TASK = "task";
/** An alarm may run for 15 minutes (developers.cloudflare.com/durable-objects/platform/limits); then the next goes on. */
const SHIFT_MS = 10 * 60 * 1000;

let app: ReturnType<typeof createApp> | undefined;

/**
 * Does one task at a time, in its alarm: what follows a chat's command may take longer than the 30 s that a worker has
 * after its answer, and must not end with the isolate that began it. An alarm that fails or is cut off runs again.
 */
export class ChatTaskObject extends DurableObject<Bindings> {
  #stop = new AbortController();

  /** Takes a task in place of the one that may be under way: a newer one brings a fresher right to edit. */
  async start(task: ChatTask): Promise<void> {
    await this.ctx.storage.put(TASK, task);
    this.#stop.abort();
    await this.ctx.storage.setAlarm(Date.now());
  }

  override async alarm(): Promise<void> {
    const task = await this.ctx.storage.get<ChatTask>(TASK);
    if (!task) return;
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
    else if (!stop.signal.aborted) await this.ctx.storage.deleteAll();
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
        return keep(discordDeps(this.env, settings, call, interaction), task, signal);
      }
    }
  }
}
