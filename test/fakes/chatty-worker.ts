import worker from "../../src/worker/index.ts";

export { ChatTaskObject, GenerationObject, LimitsObject } from "../../src/worker/index.ts";

const LINES = 20_000;
const LINE = "x".repeat(200);
let crons = 0;

/** An edge whose cron says more than any pipe holds; `/crons` answers how many have come to their end. */
export default {
  ...worker,
  fetch: (request, env, ctx) =>
    new URL(request.url).pathname === "/crons" ? Response.json({ crons }) : worker.fetch(request, env, ctx),
  async scheduled() {
    for (let line = 0; line < LINES; line++) console.log(LINE);
    crons++;
  },
} satisfies typeof worker;
