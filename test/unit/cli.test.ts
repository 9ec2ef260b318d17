import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { CliError, main } from "../../src/cli/main.ts";
import { generation } from "../bots/sample.ts";
import { hostOf, serve } from "./cli-host.ts";

const run = promisify(execFile);

async function failure(argv: string[], url = "http://127.0.0.1:1"): Promise<CliError> {
  const { host } = hostOf(url);
  return main(argv, host).then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => {
      if (error instanceof CliError) return error;
      throw error;
    },
  );
}

/** What a command says when the edge answers every request with this. */
async function says(argv: string[], answer: unknown, status = 200) {
  const asked: { method: string | undefined; url: string | undefined; body: unknown }[] = [];
  const edge = await serve(async (request, response) => {
    const body = await text(request);
    asked.push({ method: request.method, url: request.url, body: body === "" ? null : JSON.parse(body) });
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(status === 204 ? undefined : JSON.stringify(answer));
  });
  const { host, said } = hostOf(edge);
  const exit = await main(argv, host);
  return { exit, ...said, asked };
}

describe("help", () => {
  const helpOf = async (...argv: string[]) => {
    const { host, said } = hostOf("http://127.0.0.1:1");
    expect(await main(argv, host)).toBe(0);
    return said.out;
  };

  it("lists the commands, the launcher's too, and the exit statuses", async () => {
    for (const argv of [[], ["help"], ["--help"], ["-h"]]) {
      const help = await helpOf(...argv);
      for (const words of ["vignette imagine", "vignette start", "vignette policy …", "Exit status: 0 done"])
        expect(help).toContain(words);
    }
  });

  it("is there for every command, wherever it is asked for", async () => {
    const create = await helpOf("keys", "create", "--help");
    expect(create).toMatch(/--images-per-day N +pictures a day/);
    expect(await helpOf("help", "keys", "create")).toBe(create);
    expect(await helpOf("keys", "-h")).toContain("vignette keys rotate ID");
    expect(await helpOf("imagine", "two cats", "--help")).toContain("-o, --output FILE");
  });

  it("says of what the launcher does itself how it is called and what it is for", async () => {
    expect(await helpOf()).toMatch(/vignette inspect FILE… +how pictures were made/);
    expect(await helpOf("help", "start")).toMatch(/^vignette start\nthe whole of Vignette.*\n\n.*operations\.md.*\n$/);
    expect(await helpOf("help", "serve")).toContain("vignette serve …");
    expect(await helpOf("models", "--help")).toMatch(/models check ID`.*--models FILE/s);
  });

  it("is not what a prompt asks for", async () => {
    expect((await failure(["imagine", "--seed", "x", "--", "--help"])).message).toContain("--seed");
  });
});

describe("exit statuses", () => {
  it("tell what a script may want to tell apart", async () => {
    const problem = (status: number, code: string) => ({
      type: "t",
      title: "T",
      status,
      detail: "d",
      instance: "/",
      code,
      request_id: "r",
    });
    const status = async (http: number) => {
      const edge = await serve((_, response) => {
        response.writeHead(http, { "Content-Type": "application/problem+json" });
        response.end(JSON.stringify(problem(http, "some_code")));
      });
      return (await failure(["get", "gen_1"], edge)).status;
    };
    expect(await status(401)).toBe(4);
    expect(await status(403)).toBe(4);
    expect(await status(404)).toBe(5);
    expect(await status(429)).toBe(6);
    expect(await status(500)).toBe(1);
    expect((await failure(["get", "gen_1"])).status).toBe(3);
  });

  it("say that nobody answers when a stream ends with nothing in it, again and again", async () => {
    const edge = await serve((request, response) => {
      if (request.url?.endsWith("/events")) response.setHeader("Content-Type", "text/event-stream").end();
      else response.end(JSON.stringify(generation({ status: "queued" })));
    });
    const error = await failure(["watch", "gen_1"], edge);
    expect(error.message).toContain("nothing in it");
    expect(error.status).toBe(3);
  });

  it("come with the option that was wrong, by the name it has there", async () => {
    const edge = await serve((_, response) => {
      const errors = [
        { pointer: "#/num_inference_steps", detail: "At most 1000." },
        { pointer: "#/seed", detail: "At least 0." },
      ];
      response.writeHead(422, { "Content-Type": "application/problem+json" });
      response.end(
        JSON.stringify({
          type: "t",
          title: "T",
          status: 422,
          detail: "d",
          instance: "/",
          code: "invalid_request",
          request_id: "r",
          errors,
        }),
      );
    });
    const error = await failure(["imagine", "a cat", "--steps", "9999", "--seed=-1"], edge);
    expect(error.message).toBe("--steps: At most 1000.\n--seed: At least 0.");
    expect(error.status).toBe(1);
  });

  it.each([
    [["nonsense"], /There is no command "nonsense"/],
    [["keys", "nonsense"], /There is no keys "nonsense":\n {2}vignette keys create/],
    [["keys"], /Say what to do:/],
    [["get"], /Say which generation/],
    [["get", "a", "b"], /"b" is one too many/],
    [["list", "extra"], /takes options only/],
    [["list", "--status", "flying"], /there are queued, running/],
    [["list", "--limit", "many"], /must be a number/],
    [["list", "--nonsense"], /Unknown option '--nonsense'/],
    [["keys", "create"], /Give the key a --name/],
    [["keys", "create", "--name", "x", "--scopes", "all"], /--scopes is "all"/],
    [["keys", "create", "--name", "x", "--expires", "soon"], /--expires is "soon"/],
    [["account", "erase", "acme"], /Say --yes if you mean it/],
    [["keys", "show"], /Say which key/],
    [["keys", "update", "key_1"], /Say what to change/],
    [["keys", "update", "key_1", "--scopes", "all"], /--scopes is "all"/],
    [["keys", "update", "key_1", "--concurrent", "2", "--unlimited"], /--unlimited takes no limit/],
    [["completion", "tcsh"], /Say one of bash, zsh, fish/],
    [["imagine"], /Say what the picture shows/],
  ])("2: %j is refused before anything is asked", async (argv, words) => {
    const error = await failure(argv);
    expect(error.message).toMatch(words);
    expect(error.status).toBe(2);
  });
});

describe("--json", () => {
  const endpoint = { id: "whe_1", url: "https://example.com", events: [], disabled_reason: null, secret: "whsec_x" };
  it.each([
    [["get", "gen_1"], generation()],
    [["cancel", "gen_1"], generation({ status: "canceled" })],
    [["list"], { data: [], next_cursor: null }],
    [["usage"], { data: [], quotas: [] }],
    [["keys", "create", "--name", "x"], { id: "key_1", key: "vgt_secret" }],
    [["keys", "rotate", "key_1"], { id: "key_1", key: "vgt_secret" }],
    [["keys", "show", "key_1"], { id: "key_1" }],
    [["keys", "update", "key_1", "--unlimited"], { id: "key_1", limits: {} }],
    [["account", "show"], { id: "acme" }],
    [["account", "limits", "--concurrent-per-user", "2"], { id: "acme" }],
    [["account", "retention", "--images", "30"], { id: "acme" }],
    [["account", "erase", "acme", "--yes"], { id: "acme", erasing: true }],
    [["policy", "get"], { rules: [] }],
    [["webhooks", "create", "https://example.com"], endpoint],
    [["webhooks", "enable", "whe_1"], endpoint],
    [["webhooks", "rotate", "whe_1"], endpoint],
    [["webhooks", "test", "whe_1"], { id: "msg_1" }],
    [["webhooks", "redeliver", "whe_1", "msg_1"], { id: "msg_1" }],
  ])("%j prints what the edge answered", async (argv, answer) => {
    const { exit, out } = await says([...argv, "--json"], answer);
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toEqual(JSON.parse(JSON.stringify(answer)));
  });

  it.each([
    [["models"], { data: [] }, []],
    [["keys", "list"], { data: [], next_cursor: null }, []],
    [["webhooks", "list"], { data: [], next_cursor: null }, []],
    [["webhooks", "deliveries", "whe_1"], { data: [], next_cursor: null }, []],
    [["delete", "gen_1"], null, { id: "gen_1", deleted: true }],
    [["keys", "revoke", "key_1"], null, { id: "key_1", revoked: true }],
    [["policy", "remove"], null, { removed: true }],
    [["webhooks", "delete", "whe_1"], null, { id: "whe_1", deleted: true }],
  ])("%j prints what it comes to", async (argv, answer, printed) => {
    const { out } = await says([...argv, "--json"], answer, answer === null ? 204 : 200);
    expect(JSON.parse(out)).toEqual(printed);
  });
});

describe("--json, where it fails", () => {
  /** The last line on stderr, and how it ended. */
  async function fails(argv: string[], url = "http://127.0.0.1:1") {
    const { host, said } = hostOf(url);
    const exit = await main([...argv, "--json"], host);
    expect(said.out).toBe("");
    return { exit, told: JSON.parse(said.err.trimEnd().split("\n").at(-1) ?? "") };
  }

  it("prints the problem as the API told it, with the same exit status", async () => {
    const problem = {
      type: "urn:vignette:problem:invalid_request",
      title: "The request is not valid",
      status: 422,
      detail: "#/seed: At least 0.",
      instance: "/v1/generations",
      code: "invalid_request",
      request_id: "req_1",
      errors: [{ pointer: "#/seed", detail: "At least 0." }],
    };
    const edge = await serve((_, response) => {
      response.writeHead(422, { "Content-Type": "application/problem+json" });
      response.end(JSON.stringify(problem));
    });
    expect(await fails(["imagine", "a cat", "--seed=-1"], edge)).toEqual({ exit: 1, told: problem });
  });

  it("says in the same members what the API never heard of", async () => {
    const usage = await fails(["keys", "create"]);
    expect(usage).toEqual({ exit: 2, told: { code: "usage", detail: expect.stringContaining("--name") } });
    expect(await fails(["nonsense"])).toMatchObject({ exit: 2, told: { code: "usage" } });
    const away = await fails(["get", "gen_1"]);
    expect(away).toEqual({
      exit: 3,
      told: { code: "unreachable", detail: expect.stringContaining("does not answer") },
    });
    const proxy = await serve((_, response) => response.writeHead(403).end("<html>"));
    expect(await fails(["list"], proxy)).toEqual({
      exit: 4,
      told: { code: "denied", detail: "The server answered 403." },
    });
  });

  it("is not what a prompt asks for", async () => {
    const { host, said } = hostOf("http://127.0.0.1:1");
    await expect(main(["imagine", "--seed", "x", "--", "--json"], host)).rejects.toThrow(CliError);
    expect(said.err).toBe("");
  });
});

describe("a key", () => {
  const key = {
    id: "key_1",
    object: "key",
    name: "Ada",
    prefix: "vgt_abcdef",
    account: "acme",
    scopes: ["generate", "read"],
    limits: { concurrent: 2 },
    created_at: "2026-11-24T00:00:00Z",
    expires_at: "2027-01-31T00:00:00Z",
    revoked_at: null,
    last_used_at: null,
    previous_secret_until: "2026-11-25T00:00:00Z",
  };

  it("is shown without its secret", async () => {
    const { asked, out } = await says(["keys", "show", "key_1"], key);
    expect(asked).toEqual([{ method: "GET", url: "/v1/keys/key_1", body: null }]);
    for (const line of [
      /^key +vgt_abcdef…$/m,
      /^scopes +generate,read$/m,
      /^concurrent +2$/m,
      /^state +expires 2027-01-31/m,
      /^old secret works until +2026-11-25/m,
    ])
      expect(out).toMatch(line);
  });

  it("is changed in what is said, and in nothing else", async () => {
    const change = async (...options: string[]) => {
      const { asked } = await says(["keys", "update", "key_1", ...options], key);
      expect(asked[0]).toMatchObject({ method: "PATCH", url: "/v1/keys/key_1" });
      return asked[0]?.body;
    };
    expect(await change("--name", "Grace", "--scopes", "read")).toEqual({ name: "Grace", scopes: ["read"] });
    expect(await change("--concurrent", "3", "--per-minute", "60")).toEqual({
      limits: { concurrent: 3, requests_per_minute: 60 },
    });
    expect(await change("--unlimited", "--expires", "never")).toEqual({ limits: {}, expires_at: null });
    expect(await change("--expires", "2028-01-01")).toEqual({ expires_at: "2028-01-01T00:00:00.000Z" });
  });
});

describe("an account", () => {
  it("is limited, kept and erased as it is said", async () => {
    const answer = {
      id: "acme",
      created_at: "2026-11-24T00:00:00Z",
      operator: false,
      limits: { concurrent_per_user: 2 },
      retention: { images_days: 30, generations_days: null },
      erased_at: null,
      erasing: false,
    };
    const limits = await says(["account", "limits", "--concurrent-per-user", "2", "--account", "acme"], answer);
    expect(limits.asked[0]?.body).toEqual({ account: "acme", limits: { concurrent_per_user: 2 } });
    expect(limits.out).toContain("concurrent_per_user");
    const kept = await says(["account", "retention", "--images", "30"], answer);
    expect(kept.asked[0]?.body).toEqual({ retention: { images_days: 30 } });
    expect(kept.out).toMatch(/pictures are kept +30 days/);
    const erased = await says(["account", "erase", "acme", "--yes"], { ...answer, erased_at: "now", erasing: true });
    expect(erased.asked[0]).toMatchObject({ method: "DELETE", url: "/v1/account?account=acme&confirm=acme" });
    expect(erased.out).toMatch(/erased +now, under way/);
  });
});

describe("a policy", () => {
  it("comes from a file, which is looked at first", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vignette-policy-"));
    const file = join(folder, "rules.json");
    try {
      await writeFile(file, JSON.stringify({ rules: [{ id: "one", terms: ["x"] }] }));
      const { asked, out } = await says(["policy", "set", file], {
        rules: [{ id: "one", terms: ["x"] }],
        moderation: null,
        max_prompt_chars: null,
        max_prompt_tokens: null,
      });
      expect(asked[0]).toMatchObject({ method: "PUT", url: "/v1/policy", body: { rules: [{ id: "one" }] } });
      expect(out).toMatch(/one +1 terms/);
      await writeFile(file, JSON.stringify({ rules: [{ id: "No!", terms: ["x"] }] }));
      expect((await failure(["policy", "set", file])).message).toContain("rules.0.id: A rule is called");
      await writeFile(file, "{");
      expect((await failure(["policy", "set", file])).message).toContain("is not JSON");
      expect((await failure(["policy", "set", join(folder, "none.json")])).message).toContain("ENOENT");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("completion", () => {
  const script = async (shell: string) => {
    const { host, said } = hostOf("http://127.0.0.1:1");
    await main(["completion", shell], host);
    return said.out;
  };
  /** What bash offers after these words. */
  async function offered(...words: string[]): Promise<string[]> {
    const quoted = words.map((word) => `'${word}'`).join(" ");
    const code = `${await script("bash")}
COMP_WORDS=(vignette ${quoted}); COMP_CWORD=${words.length}; _vignette; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run("bash", ["-c", code]);
    return stdout.split("\n").filter(Boolean);
  }

  it("completes commands, what is under them, options and their values in bash", async () => {
    expect(await offered("im")).toEqual(["imagine"]);
    expect(await offered("sta")).toEqual(["start"]);
    expect(await offered("keys", "r")).toEqual(["rotate", "revoke"]);
    expect(await offered("keys", "create", "--exp")).toEqual(["--expires"]);
    expect(await offered("list", "--status", "ca")).toEqual(["canceled"]);
    expect(await offered("list", "--limit", "5", "--s")).toEqual(["--status"]);
    expect(await offered("imagine", "keys", "--se")).toEqual(["--seed"]);
  });

  it("is bash's under zsh, and fish's own", async () => {
    expect(await script("zsh")).toMatch(/^autoload -Uz bashcompinit && bashcompinit\n# vignette/);
    const fish = await script("fish");
    expect(fish).toContain("complete -c vignette -f -n 'not __fish_seen_subcommand_from imagine get");
    expect(fish).toContain("-l status -r -f -a 'queued running succeeded failed canceled'");
    const lines = fish.trim().split("\n").slice(1);
    for (const line of lines) expect((line.replaceAll("'\\''", "").match(/'/g) ?? []).length % 2, line).toBe(0);
  });
});
