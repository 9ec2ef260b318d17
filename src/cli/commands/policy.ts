import { readFile } from "node:fs/promises";
import { type Policy, SetPolicy } from "../../contract/policy.ts";
import { command, group } from "../command.ts";
import { CliError, usage } from "../error.ts";
import type { Host } from "../host.ts";
import { given, none, number, only } from "../options.ts";
import { printJson } from "../print.ts";
import { withClient } from "../session.ts";
import { table } from "../table.ts";

const ACCOUNT = {
  account: { type: "string", value: "ID", help: "operators: another account, or '*' for every one" },
} as const;

const get = command({
  summary: "the rules that hold now",
  options: ACCOUNT,
  async run({ json, account }, positionals, host) {
    none("policy get", positionals);
    return withClient(host, {}, async (client) => show(await client.policy.get(given({ account })), host, json));
  },
});

const set = command({
  summary: "replace the rules by those of a file",
  args: "FILE.json",
  options: ACCOUNT,
  async run({ json, account }, positionals, host) {
    const policy = await readPolicy(host.fromHere(only("file", positionals)));
    return withClient(host, {}, async (client) =>
      show(await client.policy.set(policy, given({ account })), host, json),
    );
  },
});

const remove = command({
  summary: "take every prompt again",
  options: ACCOUNT,
  async run({ json, account }, positionals, host) {
    none("policy remove", positionals);
    return withClient(host, {}, async (client) => {
      await client.policy.remove(given({ account }));
      if (json) printJson(host, { removed: true });
      else host.stdout.write("There is no policy now.\n");
      return 0;
    });
  },
});

const rotate = command({
  summary: "give the moderation hook a new secret; both sign for a while",
  options: { ...ACCOUNT, overlap: { type: "string", value: "SECONDS", help: "how long; a day when left out" } },
  async run({ json, account, overlap }, positionals, host) {
    none("policy rotate", positionals);
    const overlapSeconds = number("overlap", overlap);
    return withClient(host, {}, async (client) => {
      const rotated = await client.policy.rotateSecret(given({ account, overlapSeconds }));
      if (json) printJson(host, rotated);
      else host.stdout.write(`${rotated.secret}\n`);
      return 0;
    });
  },
});

/** A rule file, checked before it is sent so that the sentence can name the place in it. */
async function readPolicy(path: string): Promise<SetPolicy> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${path} cannot be read (${error.code}).`);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw usage(`${path} is not JSON: ${(error as Error).message}`);
  }
  const policy = SetPolicy.safeParse(value);
  if (policy.success) return policy.data;
  const [issue] = policy.error.issues;
  throw usage(`${path}: ${issue?.path.join(".") || "the file"}: ${issue?.message}`);
}

function show(policy: Policy, host: Host, json: boolean | undefined): number {
  if (json) {
    printJson(host, policy);
    return 0;
  }
  const { max_prompt_chars, max_prompt_tokens, rules, moderation } = policy;
  const rows = [
    ["max_prompt_chars", max_prompt_chars === null ? "-" : String(max_prompt_chars)],
    ["max_prompt_tokens", max_prompt_tokens === null ? "-" : String(max_prompt_tokens)],
    ...rules.map(({ id, terms }) => [id, `${terms.length} terms`]),
    ["moderation", moderation === null ? "-" : `${moderation.url}, fails ${moderation.on_failure}`],
  ];
  host.stdout.write(table([["RULE", "WHAT"], ...rows]));
  return 0;
}

export const policy = group("policy", "which prompts are taken, with a key of scope admin", {
  get,
  set,
  rotate,
  remove,
});
