import type { Host } from "../host.ts";
import { parse } from "../options.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

/** `vignette models [--json]`: what the instance can draw with. */
export async function models(args: string[], host: Host): Promise<number> {
  const { values } = parse(args, { json: { type: "boolean" } });
  return withClient(host, {}, async (client) => {
    const { data } = await client.models.list();
    if (values.json) host.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
    else
      host.stdout.write(
        table([
          ["MODEL", "ADAPTERS", "SIZE", "STEPS", "GUIDANCE", "SCHEDULER"],
          ...data.map(({ id, default: isDefault, adapters, defaults }) => [
            isDefault ? `${id} (default)` : id,
            adapters.map((adapter) => adapter.id).join(",") || "-",
            `${defaults.width}x${defaults.height}`,
            String(defaults.num_inference_steps),
            String(defaults.guidance_scale),
            defaults.scheduler,
          ]),
        ]),
      );
    return 0;
  });
}
