import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, it, vi } from "vitest";
import { COG_TOKEN } from "../../fakes/runners.ts";
import { call, deliver, imagine, makeKey, reaches, read, released } from "../harness.ts";
import { dispatched, drawing, installWorld, rowOf, type World } from "./world.ts";

let world: World;
let key: string;
beforeAll(async () => {
  world = installWorld();
  key = await makeKey();
});
afterEach(() => {
  vi.useRealTimers();
  world.cog.mood = "well";
  world.cog.forget();
});

const later = (seconds: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });
const alarm = (id: string) =>
  vi.waitUntil(() => runDurableObjectAlarm(env.GENERATION.get(env.GENERATION.idFromName(id))), { timeout: 30_000 });

async function begun(): Promise<string> {
  const { id } = await imagine(key, { model: "sketch" });
  await drawing(world.cog, id);
  await dispatched(id);
  return id;
}

describe("a bare Cog", () => {
  it("draws under our id; its pictures come in the callback itself", async ({ expect }) => {
    const id = await begun();
    expect(world.cog.requests).toContain(`PUT /predictions/${id}`);
    expect(Object.keys(world.cog.get(id).input)).not.toContain("model");
    await world.cog.start(id);
    await world.cog.progress(id, 5, 25);
    expect(await read(key, id)).toMatchObject({ status: "running", progress: { step: 5 } });
    await world.cog.succeed(id);
    const [image] = (await reaches(key, id, "succeeded")).images;
    const bytes = new Uint8Array(await (await call("GET", image?.url ?? "")).arrayBuffer());
    expect([...bytes.slice(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
    expect(world.cog.requests.filter((line) => line.startsWith("GET /predictions"))).toEqual([]);
  });

  it("has its pictures wait while its slots are taken", async ({ expect }) => {
    const first = await begun();
    const { id } = await imagine(key, { model: "sketch" });
    await released(id);
    expect((await deliver({ id })).acked).toBe(false);
    await world.cog.draw(first);
    expect((await deliver({ id })).acked).toBe(true);
    await world.cog.draw(id);
    await reaches(key, id, "succeeded");
  });

  it("is believed by its token alone", async ({ expect }) => {
    const id = await begun();
    const body = JSON.stringify({ id, status: "failed", error: "forged", logs: "" });
    const send = async (headers: Record<string, string>) =>
      (await call("POST", `/internal/runner/${id}?runner=cog`, { body, headers })).status;
    expect(await send({})).toBe(401);
    expect(await send({ Authorization: `Bearer ${COG_TOKEN}x` })).toBe(401);
    expect(await send({ Authorization: COG_TOKEN })).toBe(401);
    expect((await read(key, id)).status).toBe("queued");
    expect(await send({ Authorization: `Bearer ${COG_TOKEN}` })).toBe(204);
    expect((await read(key, id)).error?.message).toBe("forged");
    // coglet follows redirects, and would take a 2xx to the GET for success.
    expect((await call("GET", `/internal/runner/${id}?runner=cog`)).status).toBe(405);
  });

  it("fails a picture whose files are no data URLs", async ({ expect }) => {
    const id = await begun();
    const prediction = world.cog.get(id);
    Object.assign(prediction, { status: "succeeded", output: ["data:image/png;base64,%%%"], metrics: {} });
    await world.cog.callback(prediction, "completed");
    expect((await read(key, id)).error).toMatchObject({ code: "output_lost" });
  });

  it("cancels", async ({ expect }) => {
    const id = await begun();
    await call("POST", `/v1/generations/${id}/cancel`, { key });
    await vi.waitUntil(() => world.cog.get(id).status === "canceled", { timeout: 30_000 });
    expect(world.cog.requests).toContain(`POST /predictions/${id}/cancel`);
  });
});

describe("a Cog that falls silent", () => {
  it("has lost the picture when it is well: it is drawn again", async ({ expect }) => {
    const id = await begun();
    await world.cog.start(id);
    world.cog.forget();
    await alarm(id);
    expect((await read(key, id)).status).toBe("running");
    later(61);
    await alarm(id);
    expect(await rowOf(id)).toMatchObject({ status: "queued", runner: null, attempts: 1 });
    later(10);
    await deliver({ id });
    vi.useRealTimers();
    await world.cog.draw(id);
    await reaches(key, id, "succeeded");
  });

  it("is given time as long as it tells of steps", async ({ expect }) => {
    const id = await begun();
    await world.cog.start(id);
    later(50);
    await world.cog.progress(id, 5, 25);
    later(30);
    await alarm(id);
    expect((await read(key, id)).status).toBe("running");
  });

  it("and does not answer ends at the deadline", async ({ expect }) => {
    const id = await begun();
    await world.cog.start(id);
    world.cog.mood = "down";
    later(61);
    await alarm(id);
    expect((await read(key, id)).status).toBe("running");
    later(700);
    await alarm(id);
    expect((await read(key, id)).error?.code).toBe("run_timeout");
  });
});
