import { env } from "cloudflare:workers";
import { beforeAll, describe, it, vi } from "vitest";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, read } from "./harness.ts";

interface Drawn {
  url: string;
  etag: string;
  bytes: Uint8Array;
}

async function drawn(runner: FakeRunner, key: string): Promise<Drawn> {
  const { id } = await imagine(key);
  await arrival(runner, id);
  await runner.draw(id);
  const [image] = (await read(key, id)).images;
  const bytes = runner.files.get(`/files/${id}/0.png`) ?? new Uint8Array();
  return { url: image?.url ?? "", etag: `"${image?.sha256}"`, bytes };
}

let runner: FakeRunner;
let key: string;
let url: string;
let etag: string;
let bytes: Uint8Array;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
  ({ url, etag, bytes } = await drawn(runner, key));
});

const get = (headers: Record<string, string> = {}, path = url) => call("GET", path, { headers });
const body = async (response: Response) => new Uint8Array(await response.arrayBuffer());

describe("an image", () => {
  it("is served whole, immutable and with its digest as ETag, no key needed", async ({ expect }) => {
    const response = await get();
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      etag,
      "content-type": "image/png",
      "content-length": String(bytes.length),
      "cache-control": "public, max-age=31536000, immutable",
      "accept-ranges": "bytes",
      "x-content-type-options": "nosniff",
    });
    expect(await body(response)).toEqual(bytes);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
    expect(etag).toBe(`"${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}"`);
  });

  it("has a name that says nothing", ({ expect }) => {
    expect(new URL(url).pathname).toMatch(/^\/i\/[0-9a-f]{32}\.png$/);
  });

  it("answers HEAD without a body", async ({ expect }) => {
    const response = await call("HEAD", url);
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect(response.headers.get("Content-Length")).toBe(String(bytes.length));
  });

  it("is not sent again to who has it", async ({ expect }) => {
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const response = await get({ "If-None-Match": tag });
      expect([response.status, await response.text(), response.headers.get("ETag")]).toEqual([304, "", etag]);
    }
    expect((await get({ "If-None-Match": '"other"' })).status).toBe(200);
  });

  it("comes in parts, from R2 as from memory", async ({ expect }) => {
    const fresh = await drawn(runner, key);
    const size = fresh.bytes.length;
    const reads = vi.spyOn(env.IMAGES, "get");
    for (const known of [false, true]) {
      if (known) await body(await get({}, fresh.url));
      const before = reads.mock.calls.length;
      for (const [range, from, to] of [
        ["bytes=0-3", 0, 4],
        ["bytes=5-", 5, size],
        ["bytes=-4", size - 4, size],
        [`bytes=2-${size + 100}`, 2, size],
        [`bytes=-${size + 100}`, 0, size],
      ] as const) {
        const response = await get({ Range: range }, fresh.url);
        expect(response.status, range).toBe(206);
        expect(response.headers.get("Content-Range")).toBe(`bytes ${from}-${to - 1}/${size}`);
        expect(await body(response)).toEqual(fresh.bytes.slice(from, to));
      }
      expect(reads.mock.calls.length - before).toBe(known ? 0 : 5);
    }
    reads.mockRestore();
  });

  it("comes whole where no part is asked for", async ({ expect }) => {
    expect((await get({ Range: "bytes=0-3", "If-Range": etag })).status).toBe(206);
    for (const headers of [
      { Range: "bytes=0-3", "If-Range": '"other"' },
      { Range: "bytes=0-1,3-4" },
      { Range: "bytes=4-2" },
      { Range: "lines=1-2" },
    ] as Record<string, string>[])
      expect((await get(headers)).status).toBe(200);
  });

  it("refuses a part beyond its end", async ({ expect }) => {
    for (const range of [`bytes=${bytes.length}-`, "bytes=-0"]) {
      const response = await get({ Range: range });
      expect(response.status).toBe(416);
      expect(response.headers.get("Content-Range")).toBe(`bytes */${bytes.length}`);
    }
  });

  it("is 404 under any other name", async ({ expect }) => {
    for (const path of [url.replace(".png", ".jpg"), url.replace(".png", ""), `${url}.png`, "/i/0.png"])
      expect((await get({}, path)).status, path).toBe(404);
  });
});
