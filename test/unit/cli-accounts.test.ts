import { execFile } from "node:child_process";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { main } from "../../src/cli/main.ts";
import { Client } from "../../src/client/index.ts";
import { hostOf, serve } from "./cli-host.ts";

const KEY = {
  id: "key_1",
  object: "key",
  name: "Ada",
  prefix: "vgt_abcdef",
  account: "acme",
  scopes: ["read"],
  limits: {},
  created_at: "2026-11-24T00:00:00Z",
  expires_at: null,
  revoked_at: null,
  last_used_at: null,
  previous_secret_until: null,
  key: "vgt_secret",
};

/** What a command asks of an edge that answers everything with this. */
async function asked(argv: string[], answer: unknown, headers: Record<string, string> = {}) {
  const lines: string[] = [];
  const edge = await serve(async (request, response) => {
    lines.push(`${request.method} ${request.url} ${await text(request)}`.trim());
    response.writeHead(request.method === "DELETE" ? 204 : 200, { "Content-Type": "application/json", ...headers });
    response.end(request.method === "DELETE" ? undefined : JSON.stringify(answer));
  });
  const { host, said } = hostOf(edge);
  expect(await main(argv, host)).toBe(0);
  return { lines, ...said };
}

describe("another account's keys", () => {
  it.each([
    [["list"], { data: [], next_cursor: null }, "GET /v1/keys?account=acme&limit=100"],
    [["show", "key_1"], KEY, "GET /v1/keys/key_1?account=acme"],
    [["update", "key_1", "--name", "Grace"], KEY, 'PATCH /v1/keys/key_1?account=acme {"name":"Grace"}'],
    [["rotate", "key_1", "--overlap", "0"], KEY, 'POST /v1/keys/key_1/rotate?account=acme {"overlap_seconds":0}'],
    [["rotate", "key_1"], KEY, "POST /v1/keys/key_1/rotate?account=acme {}"],
    [["revoke", "key_1"], null, "DELETE /v1/keys/key_1?account=acme"],
  ])("are an operator's to name: keys %j", async (argv, answer, line) => {
    expect((await asked(["keys", ...argv, "--account", "acme"], answer)).lines).toEqual([line]);
  });

  it("are not meant where none is named", async () => {
    expect((await asked(["keys", "show", "key_1"], KEY)).lines).toEqual(["GET /v1/keys/key_1"]);
  });

  it("keep being meant from page to page", async () => {
    const pages = [
      { data: [KEY], next_cursor: "c1" },
      { data: [], next_cursor: null },
    ];
    const urls: (string | undefined)[] = [];
    const edge = await serve((request, response) => {
      urls.push(request.url);
      response.end(JSON.stringify(pages[urls.length - 1]));
    });
    await main(["keys", "list", "--account", "acme"], hostOf(edge).host);
    expect(urls).toEqual(["/v1/keys?account=acme&limit=100", "/v1/keys?cursor=c1&account=acme&limit=100"]);
  });

  it("are completed as an option of each command that has it", async () => {
    const { out } = await asked(["completion", "bash"], null);
    for (const command of ["list", "show", "update", "rotate", "revoke", "create"]) {
      const code = `${out}\nCOMP_WORDS=(vignette keys ${command} --acc); COMP_CWORD=3; _vignette; echo "\${COMPREPLY[@]}"`;
      const { stdout } = await promisify(execFile)("bash", ["-c", code]);
      expect([command, stdout.trim()]).toEqual([command, "--account"]);
    }
  });
});

describe("a secret", () => {
  it("of requests' own URLs is rotated under the name that their log has", async () => {
    const answer = { secret: "whsec_new", previous_secret_until: null };
    const { lines, out } = await asked(["webhooks", "rotate", "requests", "--overlap", "60"], answer);
    expect(lines).toEqual(['POST /v1/webhook-endpoints/default-secret/rotate {"overlap_seconds":60}']);
    expect(out).toBe("whsec_new\n");
  });

  it("of a moderation hook is rotated by its account, or by an operator", async () => {
    const { lines, out } = await asked(["policy", "rotate", "--account", "acme"], { secret: "whsec_new" });
    expect([lines, out]).toEqual([["POST /v1/policy/rotate-secret?account=acme {}"], "whsec_new\n"]);
  });
});

describe("a notice", () => {
  const NOTICE = "webhook-endpoint-disabled;id=whe_1;reason=failing";

  it("is told once beside what a command says", async () => {
    const { out, err } = await asked(["keys", "show", "key_1"], KEY, { "Vignette-Notice": NOTICE });
    expect(out).toContain("key_1");
    expect(err).toBe(
      "Notice: your webhook endpoint whe_1 is out of use (failing); `vignette webhooks enable whe_1` uses it again.\n",
    );
    const other = await asked(["keys", "show", "key_1"], KEY, { "Vignette-Notice": "something-new;a=1" });
    expect(other.err).toBe("Notice: something-new;a=1\n");
  });

  it("is handed on by the client, of refusals too", async () => {
    const heard: string[] = [];
    const client = (status: number) =>
      new Client({
        url: "http://edge.test",
        apiKey: "vgt_x",
        fetch: async () => Response.json({ data: [] }, { status, headers: { "Vignette-Notice": NOTICE } }),
        onNotice: (notice) => heard.push(notice),
      });
    await client(200).models.list();
    await client(403)
      .models.list()
      .catch(() => {});
    expect(heard).toEqual([NOTICE, NOTICE]);
  });
});
