import { type Context, Hono } from "hono";
import type { Bindings, DeliveryMessage, GenerationMessage } from "../../src/worker/env.ts";
import worker from "../../src/worker/index.ts";

export { ChatTaskObject, GenerationObject, LimitsObject } from "../../src/worker/index.ts";

/** What the edge's routes are measured against: the least that a Hono route on the same bindings can do. */
const bare = new Hono<{ Bindings: Bindings }>();

bare.get("/bare/read", async (c) => c.json(await c.env.DB.prepare("SELECT * FROM accounts LIMIT 1").first()));

bare.post("/bare/write", async (c) => {
  const id = crypto.randomUUID();
  const body = await c.req.text();
  await c.env.DB.prepare("INSERT INTO bare (id, body, created_at) VALUES (?, ?, ?)").bind(id, body, Date.now()).run();
  return c.json({ id }, 202);
});

bare.get("/bare/object/*", (c) => object(c, "/bare/object/"));

/** The same, with a line about it as every request of the edge has one: what that costs is not the edge's to save. */
bare.get("/bare/told/*", async (c) => {
  const began = Date.now();
  const response = await object(c, "/bare/told/");
  console.log(JSON.stringify({ event: "bare", path: c.req.path, status: response.status, ms: Date.now() - began }));
  return response;
});

async function object(c: Context<{ Bindings: Bindings }>, prefix: string): Promise<Response> {
  const object = await c.env.IMAGES.get(c.req.path.slice(prefix.length));
  if (!object) return c.notFound();
  return new Response(object.body, { headers: { "Content-Type": object.httpMetadata?.contentType ?? "" } });
}

bare.post("/bare/setup", async (c) => {
  await c.env.DB.prepare("CREATE TABLE IF NOT EXISTS bare (id TEXT PRIMARY KEY, body TEXT, created_at INTEGER)").run();
  return c.json({});
});

/** How generations ended, as the database has it. */
bare.get("/bare/count", async (c) => {
  const [ends, usage, images] = await c.env.DB.batch([
    c.env.DB.prepare("SELECT status, COUNT(*) AS n FROM generations GROUP BY status"),
    c.env.DB.prepare(
      "SELECT COALESCE(SUM(generations), 0) AS generations, COALESCE(SUM(images), 0) AS images FROM usage",
    ),
    c.env.DB.prepare("SELECT COUNT(*) AS n FROM images"),
  ]);
  return c.json({ ends: ends?.results, usage: usage?.results[0], images: images?.results[0] });
});

export default {
  ...worker,
  fetch: (request, env, ctx) =>
    new URL(request.url).pathname.startsWith("/bare/")
      ? bare.fetch(request, env, ctx)
      : worker.fetch(request, env, ctx),
} satisfies ExportedHandler<Bindings, GenerationMessage | DeliveryMessage>;
