import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, it, vi } from "vitest";
import { parseEvents, type ServerSentEvent } from "../../src/client/sse.ts";
import { GenerationStreamEvent } from "../../src/contract/events.ts";
import type { GenerationObject } from "../../src/worker/generation/object.ts";
import { KEEPALIVE_MS, Subscriber } from "../../src/worker/generation/stream.ts";
import { type FakeRunner, png } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, released } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

const open = (id: string, lastEventId?: string) =>
  call("GET", `/v1/generations/${id}/events`, { key, headers: lastEventId ? { "Last-Event-ID": lastEventId } : {} });

/** The whole stream, each event of it as the description says. */
async function all(response: Response): Promise<ServerSentEvent[]> {
  if (!response.body) throw new Error(`no stream but ${response.status}`);
  return Array.fromAsync(parseEvents(response.body), (event) => GenerationStreamEvent.parse(event));
}

const stubOf = (id: string) => env.GENERATION.get(env.GENERATION.idFromName(id));

describe("the event stream", () => {
  it("tells status and progress live, and ends after the end", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    const response = await open(id);
    expect(response.headers.get("Content-Type")).toContain("text/event-stream");
    expect(response.headers.get("X-Request-Id")).toMatch(/^req_/);
    const stream = all(response);
    await runner.draw(id);
    const events = await stream;
    expect(events.map(({ event }) => event)).toEqual(["status", "status", "progress", "completed"]);
    const [queued, running, progress, completed] = events.map(({ data }) => JSON.parse(data));
    expect([queued, running]).toEqual([{ status: "queued" }, { status: "running" }]);
    expect(progress).toMatchObject({ fraction: 0.48, step: 12, steps: 25 });
    expect(completed).toMatchObject({ id, object: "generation", status: "succeeded", images: [{ index: 0 }] });
    const ids = events.map((event) => Number(event.id));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("resumes after Last-Event-ID, and says 204 to who has seen the end", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.draw(id);
    const events = await all(await open(id));
    const [first] = events;
    expect(await all(await open(id, first?.id))).toEqual(events.slice(1));
    expect((await open(id, events.at(-1)?.id)).status).toBe(204);
    expect(await all(await open(id, "not-an-id-of-ours"))).toEqual(events);
  });

  it("serves several listeners, and one who leaves disturbs nobody", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    const [stays, leaves] = await Promise.all([open(id), open(id)]);
    await leaves.body?.cancel();
    const stream = all(stays);
    await runner.draw(id);
    expect((await stream).at(-1)?.event).toBe("completed");
  });

  it("ends with completed for failed and canceled ones too", async ({ expect }) => {
    const failed = await imagine(key);
    await arrival(runner, failed.id);
    await runner.fail(failed.id, "The prompt cannot be drawn.");
    expect(JSON.parse((await all(await open(failed.id))).at(-1)?.data ?? "")).toMatchObject({
      status: "failed",
      error: { code: "runner_failed", message: "The prompt cannot be drawn." },
    });
    const canceled = await imagine(key);
    await arrival(runner, canceled.id);
    await call("POST", `/v1/generations/${canceled.id}/cancel`, { key });
    const last = (await all(await open(canceled.id))).at(-1);
    expect(last?.event).toBe("completed");
    expect(JSON.parse(last?.data ?? "")).toMatchObject({ status: "canceled", error: null });
  });

  it("goes on with growing ids after the live object was evicted", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.start(id);
    await runner.progress(id, 5, 25);
    const before = await open(id);
    const reader = parseEvents(before.body ?? new ReadableStream());
    const seen: number[] = [];
    for (let i = 0; i < 3; i++) seen.push(Number((await reader.next()).value?.id));
    await reader.return(undefined);
    await evictDurableObject(stubOf(id));
    await runner.progress(id, 9, 25);
    await runner.succeed(id);
    const rest = await all(await open(id, String(seen.at(-1))));
    expect(rest.map(({ event }) => event)).toEqual(["progress", "completed"]);
    for (const { id: next } of rest) expect(Number(next)).toBeGreaterThan(seen.at(-1) ?? 0);
  });

  it("tells the end from the row when the live object has forgotten it", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.draw(id);
    await runDurableObjectAlarm(stubOf(id));
    const events = await all(await open(id, "3"));
    expect(events.map(({ event }) => event)).toEqual(["completed"]);
    expect(JSON.parse(events[0]?.data ?? "")).toMatchObject({ id, status: "succeeded", images: [{ index: 0 }] });
  });

  it("sends a comment every 15 seconds", async ({ expect }) => {
    expect(KEEPALIVE_MS).toBe(15_000);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      const left = vi.fn();
      const subscriber = new Subscriber(left);
      vi.advanceTimersByTime(2 * KEEPALIVE_MS);
      subscriber.end();
      vi.advanceTimersByTime(2 * KEEPALIVE_MS);
      expect(await new Response(subscriber.body).text()).toBe(": keep-alive\n\n: keep-alive\n\n");
      expect(left).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });

  it("tells a watched one its place in line", async ({ expect }) => {
    runner.mood = "busy";
    const first = await imagine(key);
    await released(first.id);
    const second = await imagine(key);
    await released(second.id);
    const events = parseEvents((await open(second.id)).body ?? new ReadableStream());
    await events.next();
    const { value } = await events.next();
    expect(value?.event).toBe("progress");
    const { queue_position, step } = JSON.parse(value?.data ?? "{}");
    expect(step).toBe(0);
    expect(queue_position).toBeGreaterThanOrEqual(1);
    await events.return(undefined);
    runner.mood = "well";
  });

  it("shows previews as they come, the newest to who comes later, and none at the end", async ({ expect }) => {
    const { id } = await imagine(key, { num_images: 2, previews: 3, num_inference_steps: 20 });
    const { input, webhook_events_filter } = await arrival(runner, id);
    expect(input.preview_every).toBe(5);
    expect(webhook_events_filter).toContain("output");
    const watching = all(await open(id));
    await runner.start(id);
    await runner.progress(id, 5, 20);
    await runner.preview(id, 0, "early");
    await runner.preview(id, 1, "early too");
    await runner.callback(runner.get(id), "output");
    await runner.progress(id, 10, 20);
    await runner.preview(id, 0, "later");
    const late = all(await open(id));
    await runner.succeed(id);
    const shown = (events: ServerSentEvent[]) =>
      events.filter(({ event }) => event === "preview").map(({ data }) => JSON.parse(data));
    const image = (content: string) => `data:image/png;base64,${btoa(String.fromCharCode(...png(content)))}`;
    expect(shown(await watching)).toEqual([
      { index: 0, step: 5, image: image("early") },
      { index: 1, step: 5, image: image("early too") },
      { index: 0, step: 10, image: image("later") },
    ]);
    expect(shown(await late).map(({ index, step }) => [index, step])).toEqual([
      [1, 5],
      [0, 10],
    ]);
    expect(shown(await all(await open(id)))).toEqual([]);
  });

  it("takes no preview for an end, nor anything that is none", async ({ expect }) => {
    const { id } = await imagine(key, { previews: 1 });
    const prediction = await arrival(runner, id);
    await runner.start(id);
    await runner.progress(id, 3, 25);
    for (const output of [["https://example.com/x.png"], ["data:text/html;base64,PGh0bWw+"], "x", [5], { a: 1 }])
      expect((await runner.callback({ ...prediction, output } as typeof prediction, "output"))?.status).toBe(204);
    const big = [`data:image/png;base64,${"A".repeat(300_000)}`];
    await runner.callback({ ...prediction, output: big }, "output");
    const stream = all(await open(id));
    await runner.succeed(id);
    expect((await stream).map(({ event }) => event)).toEqual(["status", "status", "progress", "completed"]);
  });

  it("asks for no previews where nobody wants any", async ({ expect }) => {
    const { id } = await imagine(key);
    const { input, webhook_events_filter } = await arrival(runner, id);
    expect(input).not.toHaveProperty("preview_every");
    expect(webhook_events_filter).not.toContain("output");
  });

  it("drops progress that comes late", async ({ expect }) => {
    const { id } = await imagine(key);
    await arrival(runner, id);
    await runner.start(id);
    await runInDurableObject(stubOf(id), async (object: GenerationObject) => {
      await object.steps(id, 10, 25, [], Date.now());
      await object.steps(id, 4, 25, [], Date.now());
      expect((await object.progress())?.step).toBe(10);
    });
  });
});
