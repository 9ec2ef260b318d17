import { env } from "cloudflare:workers";
import { beforeAll, describe, it, vi } from "vitest";
import type { Problem } from "../../src/contract/problem.ts";
import { type FakePrediction, type FakeRunner, png } from "../fakes/replicate.ts";
import { signWebhook } from "../fakes/sign.ts";
import { arrival, call, imagine, installRunner, makeKey, read } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

async function begun(request: Record<string, unknown> = {}): Promise<FakePrediction> {
  const { id } = await imagine(key, request);
  return arrival(runner, id);
}

async function send(id: string, body: string, headers: Record<string, string>): Promise<[number, string | undefined]> {
  const response = await call("POST", `/internal/runner/${id}`, { body, headers });
  return [response.status, response.status === 204 ? undefined : (await response.json<Problem>()).code];
}

describe("forged callbacks", () => {
  const success = (id: string) => JSON.stringify({ id, status: "failed", error: "forged" });

  it("are refused whatever is wrong with them, and change nothing", async ({ expect }) => {
    const { id } = await begun();
    const body = success(id);
    const good = await signWebhook(body, env.RUNNER_WEBHOOK_SECRET, { now: Date.now() });
    const other = `whsec_${btoa("0123456789012345678901234567890123456789")}`;
    const attempts: Record<string, [string, Record<string, string>]> = {
      "no signature": [body, {}],
      "another secret": [body, await signWebhook(body, other, { now: Date.now() })],
      "another body": [success(id).replace("forged", "changed"), good],
      "another message id": [body, { ...good, "webhook-id": "msg_other" }],
      "an old timestamp": [body, await signWebhook(body, env.RUNNER_WEBHOOK_SECRET, { now: Date.now() - 600_000 })],
      "a future timestamp": [body, await signWebhook(body, env.RUNNER_WEBHOOK_SECRET, { now: Date.now() + 600_000 })],
      "a moved timestamp": [body, { ...good, "webhook-timestamp": String(Number(good["webhook-timestamp"]) + 1) }],
      "no version": [body, { ...good, "webhook-signature": String(good["webhook-signature"]).slice(3) }],
      "broken base64": [body, { ...good, "webhook-signature": "v1,***" }],
    };
    for (const [name, [text, headers]] of Object.entries(attempts))
      expect(await send(id, text, headers), name).toEqual([401, "signature_invalid"]);
    expect((await read(key, id)).status).toBe("queued");
  });

  it("cannot be moved to another generation's address", async ({ expect }) => {
    const [one, two] = [await begun(), await begun()];
    const body = success(one.id);
    const headers = await signWebhook(body, env.RUNNER_WEBHOOK_SECRET, { now: Date.now() });
    expect(await send(two.id, body, headers)).toEqual([422, "invalid_request"]);
    expect((await read(key, two.id)).status).toBe("queued");
  });

  it("pass with one good signature among several, as during a rotation", async ({ expect }) => {
    const { id } = await begun();
    const body = success(id);
    const headers = await signWebhook(body, env.RUNNER_WEBHOOK_SECRET, { now: Date.now() });
    const several = `v1,${btoa("x".repeat(32))} v1a,abc ${headers["webhook-signature"]}`;
    expect(await send(id, body, { ...headers, "webhook-signature": several })).toEqual([204, undefined]);
    expect((await read(key, id)).error?.message).toBe("forged");
  });
});

describe("malformed callbacks", () => {
  it("are refused with the reason", async ({ expect }) => {
    const { id } = await begun();
    for (const [body, status, code] of [
      ["{", 400, "invalid_json"],
      ["[]", 422, "invalid_request"],
      [JSON.stringify({ id, status: "levitating" }), 422, "invalid_request"],
    ] as const) {
      const headers = await signWebhook(body, env.RUNNER_WEBHOOK_SECRET, { now: Date.now() });
      expect(await send(id, body, headers)).toEqual([status, code]);
    }
    expect((await call("GET", `/internal/runner/${id}`)).status).toBe(405);
  });
});

describe("callbacks in any order", () => {
  it("count once when they are repeated", async ({ expect }) => {
    const { id } = await begun();
    await runner.draw(id);
    const first = await read(key, id);
    expect((await runner.callback(runner.get(id), "completed"))?.status).toBe(204);
    await Promise.all([runner.succeed(id), runner.succeed(id)]);
    expect(await read(key, id)).toEqual(first);
    const rows = await env.DB.prepare("SELECT COUNT(*) AS n FROM images WHERE generation_id = ?").bind(id).first("n");
    expect(rows).toBe(1);
  });

  it("make one set of images when two ends arrive at once", async ({ expect }) => {
    const { id } = await begun({ num_images: 2 });
    await Promise.all([runner.succeed(id), runner.succeed(id), runner.succeed(id)]);
    const { images } = await read(key, id);
    expect(images.map(({ index }) => index)).toEqual([0, 1]);
    for (const { url } of images) expect((await call("GET", url)).status).toBe(200);
  });

  it("keep the images when a later one finds the runner's files gone", async ({ expect }) => {
    const { id } = await begun();
    await runner.succeed(id);
    runner.files.clear();
    expect((await runner.callback(runner.get(id), "completed"))?.status).toBe(204);
    const [image] = (await read(key, id)).images;
    expect((await call("GET", image?.url ?? "")).status).toBe(200);
  });

  it("never undo the end", async ({ expect }) => {
    const { id } = await begun();
    const early = structuredClone({
      ...runner.get(id),
      status: "processing" as const,
      logs: " 8%|# | 2/25 [00:00<00:01]",
    });
    await runner.succeed(id);
    const done = await read(key, id);
    expect((await runner.callback(early, "logs"))?.status).toBe(204);
    expect((await runner.callback({ ...early, status: "failed", error: "late" }, "completed"))?.status).toBe(204);
    expect(await read(key, id)).toEqual(done);
    expect(done.status).toBe("succeeded");
  });

  it("succeed without a start, and with a start that comes afterwards", async ({ expect }) => {
    const { id } = await begun();
    await runner.succeed(id);
    const done = await read(key, id);
    expect(done.started_at).not.toBeNull();
    await runner.callback({ ...runner.get(id), status: "processing" }, "start");
    expect(await read(key, id)).toEqual(done);
  });

  it("begin the run with whatever of it comes first", async ({ expect }) => {
    const { id } = await begun();
    runner.get(id).status = "processing";
    await runner.progress(id, 3, 25);
    expect(await read(key, id)).toMatchObject({ status: "running", progress: { step: 3 } });
  });

  it("are no error for a generation that is gone", async ({ expect }) => {
    const { id } = await begun();
    await call("DELETE", `/v1/generations/${id}`, { key });
    expect((await runner.callback({ ...runner.get(id), status: "processing" }, "start"))?.status).toBe(204);
    expect((await runner.succeed(id))?.status).toBe(204);
  });
});

describe("outputs", () => {
  it("that cannot be fetched yet leave the generation open and ask for the callback again", async ({ expect }) => {
    const { id } = await begun();
    await runner.start(id);
    runner.filesMood = "broken";
    const refused = await runner.succeed(id);
    expect(refused?.status).toBe(503);
    expect(refused?.headers.get("Retry-After")).toBe("2");
    expect((await read(key, id)).status).toBe("running");
    runner.filesMood = "well";
    expect((await runner.callback(runner.get(id), "completed"))?.status).toBe(204);
    expect((await read(key, id)).images).toHaveLength(1);
  });

  it("that are lost, too few or no images fail it with a sentence", async ({ expect }) => {
    const lost = await begun();
    const succeed = vi.spyOn(runner.files, "set").mockReturnThis();
    await runner.succeed(lost.id);
    succeed.mockRestore();
    expect((await read(key, lost.id)).error).toEqual({
      code: "output_lost",
      message: "The runner no longer has this output.",
    });

    const few = await begun({ num_images: 2 });
    await runner.succeed(few.id, [png("only one")]);
    expect((await read(key, few.id)).error?.message).toBe("The runner gave 1 of 2 images.");

    const text = await begun();
    await runner.succeed(text.id, [new Uint8Array([60, 104, 116, 109, 108, 62])]);
    expect((await read(key, text.id)).error?.message).toContain("not a PNG, JPEG or WebP");

    const other = await begun({ output_format: "webp" });
    await runner.succeed(other.id, [png("not what was asked for")]);
    expect((await read(key, other.id)).error?.message).toContain("a png image where webp was asked for");
    expect((await env.IMAGES.list({ prefix: `images/${other.id}/` })).objects).toEqual([]);
  });

  it("are fetched with the token at the runner only", async ({ expect }) => {
    const prediction = await begun();
    await runner.succeed(prediction.id);
    const elsewhere = await begun();
    Object.assign(elsewhere, { status: "succeeded", output: ["http://elsewhere.test/0.png"], metrics: {} });
    await runner.callback(elsewhere, "completed");
    expect((await read(key, elsewhere.id)).error?.message).toContain("neither at the runner nor behind https");
    expect(runner.strays).toEqual([]);
  });
});
