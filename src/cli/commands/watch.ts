import type { GenerationEvent } from "../../contract/index.ts";
import { command } from "../command.ts";
import { EXIT } from "../error.ts";
import { only } from "../options.ts";
import { withClient } from "../session.ts";

export const watch = command({
  summary: "a line for each of its events until it ends; status 1 unless it succeeded",
  args: "ID",
  options: {},
  async run({ json }, positionals, host) {
    const id = only("generation", positionals);
    return withClient(host, {}, async (client) => {
      let last = (await client.generations.get(id)).status;
      for await (const event of client.generations.events(id, { signal: host.signal })) {
        if (event.type === "status" || event.type === "completed") last = event.data.status;
        host.stdout.write(json ? `${JSON.stringify(event)}\n` : `${line(event)}\n`);
      }
      return last === "succeeded" ? 0 : EXIT.failed;
    });
  },
});

function line(event: GenerationEvent): string {
  switch (event.type) {
    case "status":
      return event.data.status;
    case "progress": {
      const { queue_position: ahead, step, steps } = event.data;
      return ahead === null ? `step ${step} of ${steps}` : `${ahead} ahead`;
    }
    case "preview":
      return `preview of picture ${event.data.index + 1} at step ${event.data.step}`;
    case "completed":
      return [event.data.status, ...event.data.images.map(({ url }) => url)].join(" ");
  }
}
