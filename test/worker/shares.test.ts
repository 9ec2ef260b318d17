import { beforeAll, describe, it } from "vitest";
import type { Generation, GenerationList } from "../../src/contract/generation.ts";
import type { Share } from "../../src/contract/shares.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, read } from "./harness.ts";

const PROMPT = `two "cats" & <b>a dog</b>, {{url}}`;

let runner: FakeRunner;
let key: string;
let id: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
  id = await drawn({ prompt: PROMPT, num_images: 2 });
});

async function drawn(request: Record<string, unknown>): Promise<string> {
  const generation = await imagine(key, request);
  await arrival(runner, generation.id);
  await runner.draw(generation.id);
  return generation.id;
}
const share = (index: number | string, body: unknown = {}, by = key, of = id) =>
  call("POST", `/v1/generations/${of}/images/${index}/share`, { key: by, body });
const unshare = (index: number, by = key) => call("DELETE", `/v1/generations/${id}/images/${index}/share`, { key: by });
const shareUrls = (generation: Generation) => generation.images.map(({ share_url }) => share_url);
const page = async (url: string) => {
  const response = await call("GET", new URL(url).pathname, { headers: { Accept: "text/html" } });
  return { response, text: await response.text() };
};
const tag = (text: string, property: string) =>
  new RegExp(`<meta property="${property}" content="([^"]*)">`).exec(text)?.[1];

describe("a shared picture", () => {
  it("has a page with Open Graph tags, which nothing in the sentence can break", async ({ expect }) => {
    expect(shareUrls(await read(key, id))).toEqual([null, null]);
    const answer = await share(1);
    expect(answer.status).toBe(200);
    const { url, show_prompt } = await answer.json<Share>();
    expect(url).toMatch(/^https:\/\/vignette\.test\/s\/[0-9a-f]{32}$/);
    expect(show_prompt).toBe(true);
    expect(shareUrls(await read(key, id))).toEqual([null, url]);

    const { response, text } = await page(url);
    expect([response.status, response.headers.get("Content-Type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(response.headers.get("Content-Security-Policy")).toContain("script-src 'self'");
    expect(text).not.toMatch(/<b>|<style|style=|<script|\son[a-z]+=/);
    const escaped = "two &quot;cats&quot; &amp; &lt;b&gt;a dog&lt;/b&gt;, {{url}}";
    expect(tag(text, "og:title")).toBe(escaped);
    expect(tag(text, "og:url")).toBe(url);
    expect(tag(text, "og:image")).toBe(`${url}/picture`);
    expect([tag(text, "og:image:width"), tag(text, "og:image:type")]).toEqual(["128", "image/png"]);
    expect(text).toContain('<meta name="robots" content="noindex">');
    expect(text).toContain("AI-generated");

    const picture = await call("GET", new URL(`${url}/picture`).pathname);
    expect([picture.status, picture.headers.get("Content-Type")]).toEqual([200, "image/png"]);
    expect(picture.headers.get("Cache-Control")).toBe("public, max-age=60");
    expect(await picture.text()).toContain(`${id} 1`);
  });

  it("keeps its address when it is shared again, and can keep the sentence to itself", async ({ expect }) => {
    const first = await (await share(0)).json<Share>();
    const again = await (await share(0, { show_prompt: false })).json<Share>();
    expect(again).toEqual({ ...first, show_prompt: false });
    const { text } = await page(first.url);
    expect(text).not.toContain("dog");
    expect(text).not.toMatch(/seed|miniature/);
    expect(tag(text, "og:title")).toBe("A picture drawn with Vignette");
  });

  it("is found in the list of what is shared, and nowhere once it is not", async ({ expect }) => {
    const other = await drawn({ prompt: "never shared" });
    const { url } = await (await share(0)).json<Share>();
    const list = async () => (await call("GET", "/v1/generations?shared=true", { key })).json<GenerationList>();
    expect((await list()).data.map((generation) => generation.id)).toEqual([id]);
    expect((await unshare(0)).status).toBe(204);
    expect((await unshare(1)).status).toBe(204);
    expect((await unshare(1)).status).toBe(204);
    expect((await list()).data).toEqual([]);
    expect((await page(url)).response.status).toBe(404);
    expect((await call("GET", new URL(`${url}/picture`).pathname)).status).toBe(404);
    expect((await read(key, other)).images[0]?.share_url).toBe(null);
  });

  it("goes with its generation", async ({ expect }) => {
    const gone = await drawn({ prompt: "soon gone" });
    const { url } = await (await share(0, {}, key, gone)).json<Share>();
    await call("DELETE", `/v1/generations/${gone}`, { key });
    expect((await page(url)).response.status).toBe(404);
  });

  it("is not shared by another request that gets it from the cache", async ({ expect }) => {
    const seeded = await drawn({ prompt: "the same", seed: 5 });
    await share(0, {}, key, seeded);
    const copy = await call("POST", "/v1/generations", { key, body: { prompt: "the same", seed: 5, user: "another" } });
    expect(copy.status).toBe(200);
    const generation = await copy.json<Generation>();
    expect([generation.cached, shareUrls(generation)]).toEqual([true, [null]]);
    expect(shareUrls(await read(key, generation.id))).toEqual([null]);
  });

  it("is the account's own, exists, and was not flagged", async ({ expect }) => {
    const stranger = await makeKey({ account: "stranger" });
    const reader = await makeKey({ scopes: ["read"] });
    const code = async (response: Promise<Response>) => {
      const answer = await response;
      return [answer.status, (await answer.json<{ code: string }>()).code];
    };
    expect(await code(share(0, {}, stranger))).toEqual([404, "not_found"]);
    expect(await code(unshare(0, stranger))).toEqual([404, "not_found"]);
    expect(await code(share(0, {}, reader))).toEqual([403, "scope_missing"]);
    expect(await code(share(7))).toEqual([404, "not_found"]);
    expect(await code(share("first"))).toEqual([422, "invalid_request"]);
    expect(await code(share(0, { show_prompt: "yes" }))).toEqual([422, "invalid_request"]);
    expect(await code(share(0, { title: "mine" }))).toEqual([422, "invalid_request"]);
    const waiting = await imagine(key, { prompt: "not done yet" });
    expect(await code(share(0, {}, key, waiting.id))).toEqual([404, "not_found"]);
    const flagged = await imagine(key, { prompt: "flagged" });
    await arrival(runner, flagged.id);
    runner.flag = true;
    await runner.draw(flagged.id);
    runner.flag = false;
    expect(await code(share(0, {}, key, flagged.id))).toEqual([409, "image_flagged"]);
  });
});
