import { type Command, command } from "./command.ts";
import { usage } from "./error.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** One place on the command line, and the words that can stand there. */
interface Node {
  /** The words before it, without `vignette`. */
  path: string;
  commands: [name: string, summary: string][];
  options: [name: string, help: string, takesValue: boolean, choices: readonly string[]][];
}

/** Prints a script that makes a shell complete commands, options and the values that an option takes. */
export const completionOf = (commands: () => Record<string, Command>): Command =>
  command({
    summary: "a script that makes your shell complete commands and options",
    args: SHELLS.join("|"),
    details: `bash: eval "$(vignette completion bash)" in ~/.bashrc
zsh:  eval "$(vignette completion zsh)" in ~/.zshrc, after compinit
fish: vignette completion fish > ~/.config/fish/completions/vignette.fish`,
    options: {},
    async run(_, [shell = "", extra], host) {
      if (!SHELLS.includes(shell as Shell) || extra !== undefined) throw usage(`Say one of ${SHELLS.join(", ")}.`);
      host.stdout.write(scriptFor(shell as Shell, commands()));
      return 0;
    },
  });

/** @returns the completion script */
export function scriptFor(shell: Shell, commands: Record<string, Command>): string {
  const nodes = flatten("", commands, {});
  switch (shell) {
    case "bash":
      return bash(nodes);
    case "zsh":
      // zsh runs bash's functions (zshcompsys(1), bashcompinit).
      return `autoload -Uz bashcompinit && bashcompinit\n${bash(nodes)}`;
    case "fish":
      return fish(nodes);
  }
}

function flatten(path: string, commands: Record<string, Command>, options: Command["options"]): Node[] {
  const node: Node = {
    path,
    commands: Object.entries(commands).map(([name, { summary }]) => [name, summary]),
    options: Object.entries(options).map(([name, { help, type, choices }]) => [
      name,
      help,
      type === "string",
      choices ?? [],
    ]),
  };
  const below = Object.entries(commands).flatMap(([name, inner]) =>
    flatten(`${path} ${name}`.trim(), inner.commands ?? {}, inner.options),
  );
  return [node, ...below];
}

function bash(nodes: Node[]): string {
  const words = nodes.map(
    ({ path, commands, options }) =>
      `    ${quoted(path)}) words=${quoted([...commands.map(([name]) => name), ...options.map(([name]) => `--${name}`)].join(" "))} ;;`,
  );
  const values = nodes.flatMap(({ path, options }) =>
    options
      .filter(([, , takesValue]) => takesValue)
      .map(
        ([name, , , choices]) => `    ${quoted(`${path} --${name}`)}) values=${quoted(choices.join(" "))}; known=1 ;;`,
      ),
  );
  const paths = nodes.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  return `# vignette completion for bash
_vignette() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" word words="" values="" known=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path\${path:+ }$word" in
    ${paths.join("|")}) path="$path\${path:+ }$word" ;;
    esac
  done
  case "$path $previous" in
${values.join("\n")}
  esac
  if [ -n "$known" ]; then
    if [ -n "$values" ]; then COMPREPLY=($(compgen -W "$values" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi
    return
  fi
  case "$path" in
${words.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _vignette vignette
`;
}

function fish(nodes: Node[]): string {
  const lines = nodes.flatMap(({ path, commands, options }) => {
    const words = path === "" ? [] : path.split(" ");
    const names = commands.map(([name]) => name);
    const here = [
      ...words.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(names.length > 0 ? [`not __fish_seen_subcommand_from ${names.join(" ")}`] : []),
    ].join("; and ");
    const condition = here === "" ? "" : ` -n ${quoted(here)}`;
    return [
      ...commands.map(([name, summary]) => `complete -c vignette -f${condition} -a ${name} -d ${quoted(summary)}`),
      ...options.map(
        ([name, help, takesValue, choices]) =>
          `complete -c vignette${condition} -l ${name}${takesValue ? " -r" : ""}${choices.length > 0 ? ` -f -a ${quoted(choices.join(" "))}` : ""} -d ${quoted(help)}`,
      ),
    ];
  });
  return `# vignette completion for fish\n${lines.join("\n")}\n`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
