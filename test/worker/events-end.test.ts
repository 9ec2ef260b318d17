import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, it, vi } from "vitest";
import { parseEvents, type ServerSentEvent } from "../../src/client/sse.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, drawn, imagine, installRunner, makeKey, released } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

const stubOf = (id: string) => env.GENERATION.get(env.GENERATION.idFromName(id));
const open = (id: string, lastEventId?: string) =>
  call("GET", `/v1/generations/${id}/events`, { key, headers: lastEventId ? { "Last-Event-ID": lastEventId } : {} });

/** What an EventSource does: it comes back after every end of the stream with the id that it saw last, until 204. */
async function follow(id: string, lastEventId = ""): Promise<ServerSentEvent[]> {
  const seen: ServerSentEvent[] = [];
  for (let visits = 0, last = lastEventId; visits < 10; visits++) {
    const response = await open(id, last);
    if (response.status === 204) return seen;
    for await (const event of parseEvents(response.body ?? new ReadableStream())) {
      seen.push(event);
      last = event.id;
    }
  }
  throw new Error("it would come back for ever");
}

describe("an EventSource that comes back", () => {
  it("hears of the end once and stops, whether the live object remembers it or only the row", async ({ expect }) => {
    const { id } = await drawn(runner, key);
    const fresh = await follow(id);
    expect(fresh.map(({ event }) => event)).toEqual(["status", "status", "progress", "completed"]);
    expect(await follow(id, fresh.at(-1)?.id)).toEqual([]);
    // An hour later the object has forgotten.
    await runDurableObjectAlarm(stubOf(id));
    for (const last of ["", "2", fresh.at(-1)?.id]) {
      const late = await follow(id, last);
      expect(
        late.map(({ event }) => event),
        `after ${last}`,
      ).toEqual(["completed"]);
      expect(JSON.parse(late[0]?.data ?? "")).toMatchObject({ id, status: "succeeded" });
      expect(Number(late[0]?.id)).toBeGreaterThan(Number(fresh.at(-1)?.id));
    }
  });
});

describe("a place in line", () => {
  it("is looked up once, however many watch", async ({ expect }) => {
    runner.mood = "busy";
    const { id } = await imagine(key);
    await released(id);
    const asked: string[] = [];
    await runInDurableObject(stubOf(id), (object) => {
      const { DB } = (object as unknown as { env: { DB: D1Database } }).env;
      const prepare = DB.prepare.bind(DB);
      vi.spyOn(DB, "prepare").mockImplementation((sql) => {
        asked.push(sql);
        return prepare(sql);
      });
    });
    const streams = await Promise.all([open(id), open(id)]);
    const events = streams.map(({ body }) => parseEvents(body ?? new ReadableStream()));
    const places = await Promise.all(
      events.map(async (watching) => {
        for await (const { event, data } of watching) if (event === "progress") return JSON.parse(data).queue_position;
      }),
    );
    expect(places[0]).toBeGreaterThanOrEqual(0);
    expect(places[1]).toBe(places[0]);
    expect(asked.filter((sql) => sql.includes("COUNT(*) AS ahead"))).toHaveLength(1);
    runner.mood = "well";
  });
});
