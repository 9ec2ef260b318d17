import { type Command, helpOf, synopses } from "./command.ts";
import { account } from "./commands/account.ts";
import { feedback } from "./commands/feedback.ts";
import { cancel, get, list, remove } from "./commands/generations.ts";
import { imagine } from "./commands/imagine.ts";
import { keys } from "./commands/keys.ts";
import { models } from "./commands/models.ts";
import { policy } from "./commands/policy.ts";
import { usage as showUsage } from "./commands/usage.ts";
import { watch } from "./commands/watch.ts";
import { webhooks } from "./commands/webhooks.ts";
import { completionOf } from "./completion.ts";
import { CliError, EXIT, usage } from "./error.ts";
import type { Host } from "./host.ts";

export { CliError } from "./error.ts";

const COMMANDS: Record<string, Command> = {
  imagine,
  get,
  list,
  watch,
  cancel,
  delete: remove,
  models,
  usage: showUsage,
  keys,
  account,
  policy,
  feedback,
  webhooks,
  completion: completionOf(() => ({ ...COMMANDS, ...LAUNCHED })),
};

const START = "It takes no options: docs/operations.md lists the variables that it reads.";
/** What the launcher does itself, before it asks for any of these: named here for the help and the shells. */
const elsewhere = (summary: string, args?: string): Command => ({
  summary,
  ...(args ? { args, details: "`--help` behind it says more." } : { details: START }),
  options: {},
  run: () => Promise.reject(usage("Run it through `npm exec vignette`.")),
});
const LAUNCHED: Record<string, Command> = {
  start: elsewhere("the whole of Vignette on this machine"),
  serve: elsewhere("the runner alone", "…"),
  adapter: elsewhere("train, convert and inspect adapters", "…"),
  surd: elsewhere("build training data", "…"),
  evaluate: elsewhere("compare variants on the same prompts and seeds", "…"),
  miniature: elsewhere("the bundled model: train, study", "…"),
  judge: elsewhere("what a picture of the miniature shows", "FILE…"),
  reading: elsewhere("how a sentence is understood", "…"),
  inspect: elsewhere("how pictures were made, by what they carry", "FILE…"),
};

const HELP = `Vignette: a sentence in, the picture you meant out.

${synopses("vignette", { ...COMMANDS, ...LAUNCHED })}

\`vignette COMMAND --help\` says more. Every command from imagine to webhooks takes --json; a failure is a line of JSON on
stderr then. They talk to VIGNETTE_URL with VIGNETTE_API_KEY, or to the instance that \`npm start\` runs here.

Exit status: 0 done; ${EXIT.failed} it failed; ${EXIT.usage} the command line is wrong; ${EXIT.unreachable} nobody answers; ${EXIT.denied} the key may not do it;
${EXIT.missing} there is no such thing; ${EXIT.limited} a limit is reached; 130 interrupted.
`;

/**
 * The commands that speak to the API.
 * @returns the exit status
 * @throws {CliError} with a sentence for the user, unless `--json` asks for its failures too
 */
export async function main(argv: string[], host: Host): Promise<number> {
  try {
    return await run(argv, host);
  } catch (error) {
    if (!(error instanceof CliError) || !asksFor(argv, "--json")) throw error;
    host.stderr.write(`${JSON.stringify(error)}\n`);
    return error.status;
  }
}

async function run(argv: string[], host: Host): Promise<number> {
  const [name = "help", ...args] = argv;
  const asked = name === "help" || name === "--help" || name === "-h";
  const words = asked ? args : argv;
  if (asked || asksFor(args, "--help", "-h")) {
    host.stdout.write(help(words.filter((word) => !word.startsWith("-"))));
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw usage(`There is no command ${JSON.stringify(name)}; \`vignette help\` lists them.`);
  return command.run(args, host);
}

/** A prompt may hold anything behind `--`. */
function asksFor(args: string[], ...options: string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => options.includes(arg));
}

/** The help of the innermost command that these words name. */
function help(words: string[]): string {
  const path: string[] = [];
  let at: Command | undefined;
  let commands: Record<string, Command> | undefined = { ...COMMANDS, ...LAUNCHED };
  for (const word of words) {
    const next: Command | undefined = commands && Object.hasOwn(commands, word) ? commands[word] : undefined;
    if (!next) break;
    path.push(word);
    at = next;
    commands = next.commands;
  }
  return at ? helpOf(path, at) : HELP;
}
