import { type Context, Hono } from "hono";
import type { Bindings, DeliveryMessage, GenerationMessage } from "../../src/worker/env.ts";
import worker, { ChatTaskObject, GenerationObject, LimitsObject } from "../../src/worker/index.ts";
import { meterObjects } from "./objects.ts";

for (const each of [GenerationObject, LimitsObject]) meterObjects(each);

export { ChatTaskObject, GenerationObject, LimitsObject };

/** What the edge's routes are measured against: the least that a Hono route on the same bindings can do. */
const bare = new Hono<{ Bindings: Bindings }>();

bare.get("/bare/read", async (c) => c.json(await c.env.DB.prepare("SELECT * FROM accounts LIMIT 1").first()));

bare.post("/bare/write", async (c) => {
  const id = crypto.randomUUID();
  const body = await c.req.text();
  await c.env.DB.prepare("INSERT INTO bare (id, body, created_at) VALUES (?, ?, ?)").bind(id, body, Date.now()).run();
  return c.json({ id }, 202);
});

bare.get("/bare/object/*", (c) => object(c, c.req.path.slice("/bare/object/".length)));

/** The same, with a line about it as every request of the edge has one: what that costs is not the edge's to save. */
bare.get("/bare/told/*", async (c) => {
  const began = Date.now();
  const response = await object(c, c.req.path.slice("/bare/told/".length));
  console.log(JSON.stringify({ event: "bare", path: c.req.path, status: response.status, ms: Date.now() - began }));
  return response;
});

/** By the picture's public name, which only the database knows. */
bare.get("/bare/named/:token", async (c) => {
  const named = c.env.DB.prepare("SELECT object_key FROM images WHERE token = ?").bind(c.req.param("token"));
  return object(c, (await named.first<string>("object_key")) ?? "");
});

async function object(c: Context<{ Bindings: Bindings }>, key: string): Promise<Response> {
  const object = await c.env.IMAGES.get(key);
  if (!object) return c.notFound();
  return new Response(object.body, { headers: { "Content-Type": object.httpMetadata?.contentType ?? "" } });
}

bare.post("/bare/setup", async (c) => {
  await c.env.DB.prepare("CREATE TABLE IF NOT EXISTS bare (id TEXT PRIMARY KEY, body TEXT, created_at INTEGER)").run();
  return c.json({});
});

/** Stores pictures as if they had been drawn for a generation, beside those that it has. */
bare.post("/bare/images", async (c) => {
  const { generation, count, bytes } = await c.req.json<{ generation: string; count: number; bytes: number }>();
  const counted = c.env.DB.prepare("SELECT COUNT(*) AS n FROM images WHERE generation_id = ?").bind(generation);
  const from = (await counted.first<number>("n")) ?? 0;
  const made = Array.from({ length: count }, () => {
    const token = crypto.randomUUID().replaceAll("-", "");
    return { token, key: `images/${generation}/${token}.png` };
  });
  const picture = new Uint8Array(bytes);
  const httpMetadata = { contentType: "image/png" };
  await Promise.all(made.map(({ key }) => c.env.IMAGES.put(key, picture, { httpMetadata })));
  const insert = c.env.DB.prepare(
    `INSERT INTO images (token, generation_id, position, object_key, sha256, extension, content_type, bytes, width, height,
       seed, flagged, created_at) VALUES (?1, ?2, ?3, ?4, ?1, 'png', 'image/png', ?5, 128, 128, 0, 0, ?6)`,
  );
  const now = Date.now();
  await c.env.DB.batch(made.map(({ token, key }, n) => insert.bind(token, generation, from + n, key, bytes, now)));
  return c.json(made);
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
