import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { main } from "../../src/cli/main.ts";
import { hostOf, serve } from "./cli-host.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vignette-json-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** What a command prints where the edge answers this to everything; its files lie in the test's folder. */
async function prints(argv: string[], answer: unknown): Promise<unknown> {
  const url = await serve((_, response) => {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(answer));
  });
  const { host, said } = hostOf(url);
  const exit = await main([...argv, "--json"], { ...host, fromHere: (path) => join(folder, path) });
  if (exit !== 0) throw new Error(`it ended with ${exit}: ${said.err}`);
  return JSON.parse(said.out);
}

describe("--json of what reads and writes files, or changes what is there", () => {
  it("is the policy as it is now, of policy set", async ({ expect }) => {
    await writeFile(join(folder, "rules.json"), JSON.stringify({ rules: [{ id: "no-guns", terms: ["gun"] }] }));
    const answer = { object: "policy", account: "acme", rules: [{ id: "no-guns", terms: ["gun"] }] };
    expect(await prints(["policy", "set", "rules.json"], answer)).toEqual(answer);
  });

  it("is the endpoint as it is now, of webhooks disable", async ({ expect }) => {
    const answer = { id: "whe_1", disabled: true, disabled_reason: "by_you" };
    expect(await prints(["webhooks", "disable", "whe_1"], answer)).toEqual(answer);
  });

  it("is where the lines went and how many, of feedback export", async ({ expect }) => {
    const data = [{ generation: "gen_1", narrative: "a cat", changed_into: null, image: null, model: "miniature" }];
    const printed = await prints(["feedback", "export", "-o", "lines.jsonl"], { data, next_cursor: null });
    expect(printed).toEqual({ file: "lines.jsonl", candidates: 0, left_out: 1 });
    expect(await readFile(join(folder, "lines.jsonl"), "utf8")).toBe("");
  });
});

describe("the help", () => {
  const helpOf = async (...words: string[]) => {
    const { host, said } = hostOf("http://127.0.0.1:1");
    await main([...words, "--help"], host);
    return said.out;
  };
  /** The commands that a help lists below these words. */
  const listed = (text: string, words: string) =>
    [...text.matchAll(new RegExp(`^ {2}${words} (\\S+)`, "gm"))].map(([, name = ""]) => name);

  it("promises --json of the commands that have it, and of no others", async ({ expect }) => {
    const top = await helpOf();
    expect(top).toContain("Every command from imagine to webhooks takes --json");
    const all = listed(top, "vignette");
    for (const name of all.slice(all.indexOf("imagine"), all.indexOf("webhooks") + 1)) {
      const inner = listed(await helpOf(name), `vignette ${name}`);
      for (const words of inner.length > 0 ? inner.map((word) => [name, word]) : [[name]])
        expect(await helpOf(...words), words.join(" ")).toContain("--json");
    }
  });
});
