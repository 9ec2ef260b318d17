import { type Comparison, compare, comparisonRow } from "./compare.ts";
import type { Shot } from "./load.ts";
import type { Rig } from "./rig.ts";

/** More than an isolate remembers of each kind, asked for in turn: what comes round again was forgotten long ago. */
const PROMPTS = 1_200;
const IMAGES = 6_000;
/** As large as a picture of the miniature, and as one of 1,024 pixels. */
const IMAGE_BYTES = 16 * 1024;
const LARGE_BYTES = 3 * 1024 * 1024;
const LARGE = 24;
const AT_ONCE = 16;

/** What nobody remembers: each request is for something else than those before it. */
export interface Cold {
  cache_hit: Comparison;
  image: Comparison;
  /** Against the least that a route without a memory does: one D1 read for the name, one R2 read. */
  image_named: Comparison;
  /** Larger than what is kept in memory, so streamed each time; its name is known. */
  image_large: Comparison;
}

/** @param read the bare route that reads a row */
export async function measureCold(rig: Rig, generation: string, read: Shot): Promise<Cold> {
  const prompts = await drawMany(rig);
  const small = await seed(rig, generation, IMAGES, IMAGE_BYTES);
  const large = await seed(rig, generation, LARGE, LARGE_BYTES);
  const get = (path: string): Shot => ({ url: `${rig.url}${path}`, status: 200 });
  const bare = ({ key }: Seeded) => get(`/bare/object/${key}`);
  const named = ({ token }: Seeded) => get(`/bare/named/${token}`);
  // One turn for both comparisons: a second one from the beginning would meet what is still remembered.
  const ours = inTurn(small, ({ token }) => get(`/i/${token}.png`));
  return {
    cache_hit: await compare(
      rig,
      inTurn(prompts, (shot) => shot),
      read,
    ),
    image: await compare(rig, ours, inTurn(small, bare)),
    image_named: await compare(rig, ours, inTurn(small, named)),
    image_large: await compare(
      rig,
      inTurn(large, ({ token }) => get(`/i/${token}.png`)),
      inTurn(large, bare),
    ),
  };
}

function inTurn<Thing>(things: Thing[], shotOf: (thing: Thing) => Shot): () => Shot {
  let next = 0;
  return () => shotOf(things[next++ % things.length] as Thing);
}

/** Draws as many different pictures; answers the requests for them, which the cache answers from now on. */
async function drawMany(rig: Rig): Promise<Shot[]> {
  const bodies = Array.from({ length: PROMPTS }, (_, n) => ({ prompt: `cat number ${n}`, seed: n }));
  let next = 0;
  const client = async () => {
    for (let n = next++; n < PROMPTS; n = next++)
      await rig.json("POST", "/v1/generations", bodies[n], { Prefer: "wait=60" });
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  const shot = { url: `${rig.url}/v1/generations`, method: "POST", headers: rig.headers, status: 200 };
  return bodies.map((body) => ({ ...shot, body: JSON.stringify(body) }));
}

interface Seeded {
  token: string;
  /** Of its object in R2. */
  key: string;
}

/** Stores as many pictures of this size as a generation's, beside those that it has. */
async function seed(rig: Rig, generation: string, count: number, bytes: number): Promise<Seeded[]> {
  const made: Seeded[] = [];
  const step = 200;
  for (let from = 0; from < count; from += step) {
    const some = { generation, count: Math.min(step, count - from), bytes };
    made.push(...(await rig.json<Seeded[]>("POST", "/bare/images", some)));
  }
  return made;
}

export const coldRows = ({ cache_hit, image, image_named, image_large }: Cold) =>
  [
    comparisonRow(`cache hit, ${PROMPTS} prompts in turn, against one D1 read`, cache_hit),
    comparisonRow(`image, ${IMAGES} in turn, against one R2 read`, image),
    comparisonRow(`image, ${IMAGES} in turn, against one D1 read and one R2 read`, image_named),
    comparisonRow(`image of ${LARGE_BYTES / 1024 / 1024} MiB against one R2 read`, image_large),
  ].join("\n");
