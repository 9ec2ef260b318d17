import { cancel, get, list, remove } from "./commands/generations.ts";
import { IMAGINE_HELP, imagine } from "./commands/imagine.ts";
import { KEYS_HELP, keys } from "./commands/keys.ts";
import { models } from "./commands/models.ts";
import { usage as showUsage, USAGE_HELP } from "./commands/usage.ts";
import { WATCH_HELP, watch } from "./commands/watch.ts";
import { WEBHOOKS_HELP, webhooks } from "./commands/webhooks.ts";
import { usage } from "./error.ts";
import type { Host } from "./host.ts";

export { CliError } from "./error.ts";

const COMMANDS: Record<string, (args: string[], host: Host) => Promise<number>> = {
  imagine,
  get,
  list,
  cancel,
  delete: remove,
  keys,
  models,
  usage: showUsage,
  watch,
  webhooks,
};

const HELP = `${IMAGINE_HELP}

vignette get ID                   one generation as JSON
vignette list [--status S] [--user U] [--limit N] [--cursor C] [--json]
${WATCH_HELP}
vignette cancel ID
vignette delete ID                with its pictures
${KEYS_HELP}
vignette models [--json]
${USAGE_HELP}
${WEBHOOKS_HELP}
vignette start                    the whole of Vignette on this machine
vignette adapter|surd|evaluate|miniature|judge|reading|inspect|serve|models check …   the runner's own commands

These talk to VIGNETTE_URL with VIGNETTE_API_KEY, or to the instance that \`npm start\` runs here.
`;

/**
 * The commands that speak to the API.
 * @returns the exit status
 * @throws {CliError} with a sentence for the user
 */
export async function main(argv: string[], host: Host): Promise<number> {
  const [name = "help", ...args] = argv;
  if (["help", "--help", "-h"].includes(name) || args.includes("--help")) {
    host.stdout.write(HELP);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw usage(`There is no command ${JSON.stringify(name)}; \`vignette help\` lists them.`);
  return command(args, host);
}
