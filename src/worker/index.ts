import { createApp } from "./app.ts";
import { makeDeps } from "./deps.ts";
import type { Bindings, DeliveryMessage, GenerationMessage } from "./env.ts";
import { told } from "./observe/told.ts";
import { sweep } from "./services/check.ts";
import { consume, revive } from "./services/consume.ts";
import { refreshModels } from "./services/models.ts";
import { sweepRetention } from "./services/retention.ts";
import { consumeDelivery, sweepDeliveries } from "./services/webhook-delivery.ts";

export { ChatTaskObject } from "./chat/object.ts";
export { GenerationObject } from "./generation/object.ts";
export { LimitsObject } from "./limits/object.ts";

/** By what a queue's name holds: an environment's queues have its name too, `generations-dead-staging`. */
const HANDLERS = [
  ["generations-dead", revive],
  ["webhooks", consumeDelivery],
] as const;

const app = createApp();

export default {
  fetch: (request, env, ctx) => app.fetch(request, env, ctx),

  async queue(batch, env, ctx) {
    const deps = makeDeps(env, ctx);
    const handle = HANDLERS.find(([name]) => batch.queue.includes(name))?.[1] ?? consume;
    await told(deps, { event: "queue", queue: batch.queue, messages: batch.messages.length }, () =>
      Promise.all(batch.messages.map((message) => handle(deps, message))),
    );
  },

  async scheduled(_controller, env, ctx) {
    const deps = makeDeps(env, ctx);
    const work = [
      sweep(deps),
      refreshModels(deps),
      deps.idempotency.expire(deps.now()),
      sweepDeliveries(deps),
      sweepRetention(deps),
    ];
    await told(deps, { event: "cron" }, async () => {
      // One that fails must not cut the others off.
      for (const outcome of await Promise.allSettled(work))
        if (outcome.status === "rejected")
          console.error(JSON.stringify({ event: "cron_failed", error: String(outcome.reason) }));
    });
  },
} satisfies ExportedHandler<Bindings, GenerationMessage | DeliveryMessage>;
