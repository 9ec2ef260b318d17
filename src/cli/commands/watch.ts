import type { Host } from "../host.ts";
import { only, parse } from "../options.ts";
import { withClient } from "../session.ts";

export const WATCH_HELP = "vignette watch ID [--json]          its events until it ends; status 1 unless it succeeded";

/** `vignette watch ID`: a line per event. */
export async function watch(args: string[], host: Host): Promise<number> {
  const { values, positionals } = parse(args, { json: { type: "boolean" } });
  const id = only("generation", positionals);
  return withClient(host, {}, async (client) => {
    let last = (await client.generations.get(id)).status;
    for await (const event of client.generations.events(id, { signal: host.signal })) {
      if (event.type !== "progress") last = event.data.status;
      host.stdout.write(values.json ? `${JSON.stringify(event)}\n` : `${line(event)}\n`);
    }
    return last === "succeeded" ? 0 : 1;
  });
}

type Event = Parameters<typeof JSON.stringify>[0] & { type: string; data: Record<string, unknown> };

function line({ type, data }: Event): string {
  if (type !== "progress") return [data.status, ...imagesOf(data)].join(" ");
  const ahead = data.queue_position as number | null;
  return ahead === null ? `step ${data.step} of ${data.steps}` : `${ahead} ahead`;
}

function imagesOf(data: Record<string, unknown>): string[] {
  return ((data.images as { url: string }[] | undefined) ?? []).map(({ url }) => url);
}
