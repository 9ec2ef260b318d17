import { command } from "../command.ts";
import { none } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

export const models = command({
  summary: "what can be drawn with: models, adapters, defaults",
  details:
    "`vignette models check ID` and its like look at the runner's own models.toml, or at another with `--models FILE`.",
  options: {},
  async run({ json }, positionals, host) {
    none("models", positionals);
    return withClient(host, {}, async (client) => {
      const { data } = await client.models.list();
      if (json) printJson(host, data);
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
  },
});
