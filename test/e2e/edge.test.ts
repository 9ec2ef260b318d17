import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { startEdge } from "../../scripts/lib/edge.mjs";
import { claimPorts } from "../../scripts/lib/ports.mjs";
import { Client } from "../../src/client/index.ts";
import { serve } from "../bots/http.ts";
import { FakeRunner } from "../fakes/replicate.ts";
import { ROOT, until } from "./launch.ts";

const TOKEN = "a-token-for-tests-only";
const SECRET = `whsec_${Buffer.alloc(32, 5).toString("base64")}`;

type Edge = Awaited<ReturnType<typeof startEdge>>;

/** The edge's own process with workerd, D1, R2, queues and objects, and a runner that the test moves. */
describe("the edge as a process", { timeout: 300_000 }, () => {
  let state: string;
  let port: number;
  let runner: FakeRunner;
  let closeRunner: () => Promise<void>;
  let edge: Edge | undefined;

  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), "vignette-edge-"));
    await mkdir(join(state, "logs"));
    [port = 0] = await claimPorts([["PORT", 0]]);
    const server = await serve((request) => runner.fetch(request));
    closeRunner = server.close;
    runner = new FakeRunner({ url: server.origin, token: TOKEN, secret: SECRET, deliver: (request) => fetch(request) });
  });
  afterEach(async () => {
    await edge?.stop();
    await closeRunner();
    await rm(state, { recursive: true, force: true });
  });

  async function start(options: { apiKey?: string; entry?: string; cronMs: number }): Promise<Edge> {
    edge = await startEdge({
      port,
      state,
      runner: { runner_url: runner.url, runner_token: TOKEN, runner_webhook_secret: SECRET },
      ...options,
    });
    return edge;
  }

  /** All at once, as when the machine loses its power: nothing gets a word. */
  async function kill({ pid, exited }: Edge): Promise<void> {
    process.kill(-(pid ?? 0), "SIGKILL");
    await exited;
  }

  const arrived = (id: string) => until(async () => runner.predictions.has(id));

  it("ends every accepted generation once, wherever it was when everything died", async () => {
    const first = await start({ cronMs: 60_000 });
    const apiKey = first.apiKey;
    const client = new Client({ url: first.url, apiKey });
    const begin = async () => (await client.generations.create({ prompt: "two purple cats" })).id;

    const drawn = await begin();
    await arrived(drawn);
    await runner.draw(drawn);
    assert.equal((await client.generations.wait(drawn)).status, "succeeded");
    const drawing = await begin();
    await arrived(drawing);
    await runner.start(drawing);
    await runner.progress(drawing, 3, 25);
    for await (const event of client.generations.events(drawing)) if (event.type === "progress") break;
    const taken = await begin();
    await arrived(taken);
    runner.mood = "busy";
    const waiting = await begin();
    // Its 202 is all that anybody has heard of it.
    const accepted = await begin();
    await kill(first);

    // The runner lives on. One of its pictures is finished now, and nobody hears of it.
    runner.mood = "well";
    await assert.rejects(runner.succeed(taken));
    await start({ apiKey, cronMs: 1_000 });
    // The other is told of again and again, as the runner does until somebody listens.
    const told = async () => (await runner.succeed(drawing).catch(() => null))?.ok === true;
    await until(told);
    for (const id of [waiting, accepted]) {
      await arrived(id);
      await runner.draw(id);
    }

    const all = [drawn, drawing, taken, waiting, accepted];
    for (const id of all) assert.equal((await client.generations.wait(id)).status, "succeeded");
    // Late and repeated words change nothing.
    for (const id of all) await runner.succeed(id);
    for (const id of all) {
      const { status, images } = await client.generations.get(id);
      assert.deepEqual([status, images.length], ["succeeded", 1]);
      const bytes = await client.image(images[0] as (typeof images)[0]);
      assert.match(Buffer.from(bytes).toString("latin1"), new RegExp(id));
      const completed: unknown[] = [];
      for await (const event of client.generations.events(id)) if (event.type === "completed") completed.push(event);
      assert.equal(completed.length, 1);
    }
    const { data } = await client.usage();
    const images = data.reduce((sum, day) => sum + day.images, 0);
    assert.equal(images, all.length);
  });

  it("goes on when its cron writes more than a pipe holds", async () => {
    const { url } = await start({ entry: join(ROOT, "test", "fakes", "chatty-worker.ts"), cronMs: 1_000 });
    await until(async () => ((await (await fetch(`${url}/crons`)).json()) as { crons: number }).crons >= 2);
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });
});
