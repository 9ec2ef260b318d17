import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { buildClient } from "../../scripts/lib/client.mjs";
import { command } from "../../scripts/lib/command.mjs";
import { npm } from "../../scripts/lib/node.mjs";
import { NODE_MODULES } from "../../scripts/lib/paths.mjs";

/** What a user writes: every kind of thing the package exports, typed strictly. */
const USER = `
import { Client, ClientError, isTerminal, type CreateGenerationInput, type Generation, type GenerationEvent } from "vignette-client";
import type { Feedback, FeedbackList, GiveFeedback, Group, Share, UpdateGroup, WebhookSecret } from "vignette-client";

const client = new Client({ url: process.argv[2] ?? "", apiKey: "vgt_x" });
const request: CreateGenerationInput = { prompt: "two purple cats", adapter: null, seed: 7 };
const generation: Generation = await client.generations.create(request, { wait: 10 });
const seen: GenerationEvent["type"][] = [];
for await (const event of client.generations.events(generation.id)) {
  seen.push(event.type);
  if (event.type === "progress") event.data.step satisfies number;
}
const refused = await client.keys.list().catch((error: unknown) => error);
// What its methods take and answer has names.
void ((given: GiveFeedback): Promise<Feedback> => client.feedback.give("gen_1", given));
void ((): Promise<FeedbackList> => client.feedback.list());
void ((change: UpdateGroup): Promise<Group> => client.groups.update("g", change));
void ((): Promise<Share> => client.generations.share("gen_1", 0));
void ((): Promise<WebhookSecret> => client.webhookEndpoints.defaultSecret());
// @ts-expect-error: a field that the API does not have
void (() => client.generations.create({ prompt: "x", colour: "purple" }));
// @ts-expect-error: a status that there is not
void (() => client.generations.list({ status: "flying" }));
console.log(JSON.stringify({
  id: generation.id,
  ended: isTerminal(generation.status),
  seen,
  refused: refused instanceof ClientError && [refused.status, refused.code, refused.retryAfter],
}));
`;

describe("the client's package", () => {
  let folder;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "vignette-client-"));
    await buildClient(join(folder, "built"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("packs what a user needs and nothing else", async () => {
    const [file, args] = npm(["pack", join(folder, "built"), "--json", "--pack-destination", folder]);
    const { code, tail } = await command(file, args, {
      cwd: folder,
      env: { ...process.env, npm_config_loglevel: "error" },
    });
    assert.equal(code, 0, tail);
    const names = (await command("tar", ["tzf", join(folder, "vignette-client-0.1.0.tgz")])).tail.split("\n");
    const own = names.map((name) => name.replace("package/", "")).sort();
    for (const name of ["LICENSE", "README.md", "index.js", "package.json", "types/client/index.d.ts"])
      assert.ok(own.includes(name), name);
    assert.deepEqual(
      own.filter((name) => !/^(LICENSE|README\.md|index\.js|package\.json|types\/.*\.d\.ts)$/.test(name)),
      [],
    );
    const script = await readFile(join(folder, "built", "index.js"), "utf8");
    assert.doesNotMatch(script, /\b(import|require)\b\s*[({"']/, "nothing is loaded");
  });

  it("is typed and works in a project of its own", async () => {
    const project = join(folder, "project");
    const installed = join(project, "node_modules", "vignette-client");
    await mkdir(installed, { recursive: true });
    await command("tar", ["xzf", join(folder, "vignette-client-0.1.0.tgz"), "-C", installed, "--strip-components=1"]);
    await symlink(join(NODE_MODULES, "zod"), join(project, "node_modules", "zod"));
    await mkdir(join(project, "node_modules", "@types"));
    await symlink(join(NODE_MODULES, "@types", "node"), join(project, "node_modules", "@types", "node"));
    await symlink(join(NODE_MODULES, "undici-types"), join(project, "node_modules", "undici-types"));
    await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
    await writeFile(join(project, "user.ts"), USER);
    const strict = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"];
    const target = [
      "--module",
      "nodenext",
      "--target",
      "es2024",
      "--lib",
      "es2024,dom,dom.iterable",
      "--types",
      "node",
    ];
    const tsc = [join(NODE_MODULES, "typescript", "bin", "tsc"), ...strict, ...target, "--noEmit", "user.ts"];
    const checked = await command(process.execPath, tsc, { cwd: project });
    assert.equal(checked.code, 0, checked.tail);

    const server = createServer((request, response) => {
      if (request.url === "/v1/generations") {
        response.writeHead(201, { "Content-Type": "application/json" });
        return response.end(JSON.stringify({ id: "gen_1", status: "succeeded" }));
      }
      if (request.url?.endsWith("/events")) {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        return response.end(
          'id: 1\nevent: progress\ndata: {"step": 1}\n\nid: 2\nevent: completed\ndata: {"status": "succeeded"}\n\n',
        );
      }
      response.writeHead(429, { "Content-Type": "application/problem+json", "Retry-After": "7" });
      return response.end(JSON.stringify({ code: "rate_limited", title: "T", detail: "D" }));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://127.0.0.1:${server.address().port}`;
      const { code, tail } = await command(process.execPath, ["--no-warnings", "user.ts", url], { cwd: project });
      assert.equal(code, 0, tail);
      assert.deepEqual(JSON.parse(tail), {
        id: "gen_1",
        ended: true,
        seen: ["progress", "completed"],
        refused: [429, "rate_limited", 7],
      });
    } finally {
      server.close();
    }
  });
});
