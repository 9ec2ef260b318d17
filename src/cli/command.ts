import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { usage } from "./error.ts";
import type { Host } from "./host.ts";

/** An option as `node:util`'s `parseArgs` takes it, with what the help says. */
export interface Option {
  type: "string" | "boolean";
  short?: string;
  /** What its value is called in the help: `N`, `FILE`. */
  value?: string;
  help: string;
  /** The values that it takes, for the shell to complete. */
  choices?: readonly string[];
}
type Options = Record<string, Option>;

/** What every command that does something takes besides its own options. */
const COMMON = {
  json: { type: "boolean", help: "print JSON, for scripts" },
  help: { type: "boolean", short: "h", help: "say what this command does" },
} as const satisfies Options;

/** A command of the command line: one that does something, or one that has others under it. */
export interface Command {
  summary: string;
  /** Its arguments in the help: `ID`, `"a sentence"`. */
  args?: string;
  /** More than one line can say. */
  details?: string;
  options: Options;
  commands?: Record<string, Command>;
  run(args: string[], host: Host): Promise<number>;
}

type Values<O extends Options> = {
  [Name in keyof (O & typeof COMMON)]?: (O & typeof COMMON)[Name]["type"] extends "boolean" ? boolean : string;
};

/** A command that does something, its arguments parsed strictly: an unknown option is an error that names it. */
export function command<const O extends Options>({
  run,
  options,
  ...about
}: Omit<Command, "run" | "options" | "commands"> & {
  options: O;
  run(values: Values<O>, positionals: string[], host: Host): Promise<number>;
}): Command {
  const all: Options = { ...options, ...COMMON };
  return {
    ...about,
    options: all,
    async run(args, host) {
      const { values, positionals } = parse(args, all);
      return run(values as Values<O>, positionals, host);
    },
  };
}

/** A command whose first argument names the one that is meant. */
export function group(name: string, summary: string, commands: Record<string, Command>): Command {
  return {
    summary,
    options: {},
    commands,
    async run([first = "", ...rest], host) {
      const found = Object.hasOwn(commands, first) ? commands[first] : undefined;
      if (found) return found.run(rest, host);
      const said = first === "" ? "Say what to do" : `There is no ${name} ${JSON.stringify(first)}`;
      throw usage(`${said}:\n${synopses(`vignette ${name}`, commands)}`);
    },
  };
}

/** One line for each command: how it is written and what it does. */
export function synopses(prefix: string, commands: Record<string, Command>): string {
  const rows = Object.entries(commands).map(([name, { args, summary, commands: inner }]) => [
    `${prefix} ${name}${inner ? " …" : args ? ` ${args}` : ""}`,
    summary,
  ]);
  return columns(rows);
}

/** Everything about one command. */
export function helpOf(path: string[], { summary, args, details, options, commands }: Command): string {
  const name = `vignette ${path.join(" ")}`;
  if (commands) return `${summary}\n\n${synopses(name, commands)}\n\n${name} COMMAND --help says more.\n`;
  const rows = Object.entries(options).map(([long, { short, value, help, type }]) => [
    `${short ? `-${short}, ` : "    "}--${long}${type === "string" ? ` ${value ?? "TEXT"}` : ""}`,
    help,
  ]);
  const parts = [`${name}${args ? ` ${args}` : ""}\n${summary}`, details, columns(rows)];
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

function parse(args: string[], options: Options) {
  const config: ParseArgsOptionsConfig = Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, short === undefined ? { type } : { type, short }]),
  );
  try {
    return parseArgs({ args, options: config, allowPositionals: true, strict: true });
  } catch (error) {
    throw usage(`${(error as Error).message.split(". To specify")[0]}.`);
  }
}

const WIDEST = 46;

/** Two columns; a left side that is too wide has its right side on the next line. */
function columns(rows: string[][]): string {
  const width = Math.min(WIDEST, Math.max(...rows.map(([left = ""]) => left.length)));
  return rows
    .map(([left = "", right = ""]) =>
      left.length > width ? `  ${left}\n  ${" ".repeat(width)}  ${right}` : `  ${left.padEnd(width)}  ${right}`,
    )
    .join("\n");
}
