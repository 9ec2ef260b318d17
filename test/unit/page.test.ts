import { describe, it } from "vitest";
import { ClientError } from "../../src/client/index.ts";
import { GENERATION_EXAMPLE } from "../../src/contract/examples.ts";
import type { Generation } from "../../src/contract/generation.ts";
import { newId } from "../../src/contract/ids.ts";
import { parse } from "../../src/web/state/address.ts";
import { ago, edgeNow, observe } from "../../src/web/state/clock.ts";
import { draftOf, EMPTY, requestOf } from "../../src/web/state/form.ts";
import { explain } from "../../src/web/state/trouble.ts";
import { emphasised } from "../../src/web/words/emphasis.ts";
import { surprise } from "../../src/web/words/examples.ts";
import { fileNameOf } from "../../src/web/words/picture.ts";
import { codeOf, curlOf, recipeOf } from "../../src/web/words/snippets.ts";
import { CATALOGUE } from "../fakes/catalogue.ts";

const GENERATION = GENERATION_EXAMPLE as Generation;

describe("addresses", () => {
  it("lead to pages, and everything else nowhere", ({ expect }) => {
    expect(parse("/")).toEqual({ page: "imagine", id: null });
    expect(parse("/g/gen_1")).toEqual({ page: "imagine", id: "gen_1" });
    expect(parse("/compare?ids=gen_1,gen_2")).toEqual({ page: "compare", ids: ["gen_1", "gen_2"] });
    expect(parse("/gallery")).toEqual({ page: "gallery", id: null });
    expect(parse("/gallery/gen_1")).toEqual({ page: "gallery", id: "gen_1" });
    expect(parse("/console")).toEqual({ page: "console", part: "keys" });
    expect(parse("/console/webhooks")).toEqual({ page: "console", part: "webhooks" });
    expect(parse("/study")).toEqual({ page: "study" });
    for (const address of ["/console/secrets", "/g", "/compare/x", "/study/x", "/i/abc.png", "/g/a/b", "/v1/models"])
      expect([address, parse(address).page]).toEqual([address, "nowhere"]);
  });
});

describe("the form", () => {
  it("asks for nothing that the model decides, and comes back from what was drawn", ({ expect }) => {
    expect(requestOf({ ...EMPTY, prompt: " a cat " }, CATALOGUE)).toEqual({ prompt: "a cat" });
    const form = {
      ...EMPTY,
      prompt: "a cat",
      style: "sketch",
      ratio: "16:9",
      count: 2,
      avoid: "rain",
      scale: 0.5,
      steps: 10,
    };
    const request = requestOf(form, CATALOGUE);
    expect(request).toEqual({
      prompt: "a cat, a pencil sketch",
      width: 168,
      height: 96,
      num_images: 2,
      negative_prompt: "rain",
      adapter_scale: 0.5,
      num_inference_steps: 10,
    });
    const { defaults } = CATALOGUE[0] as (typeof CATALOGUE)[0];
    const generation: Generation = {
      ...GENERATION,
      model: "miniature",
      prompt: request.prompt,
      negative_prompt: "rain",
      adapter: { id: "sur", scale: 0.5 },
      parameters: {
        ...defaults,
        width: 168,
        height: 96,
        num_inference_steps: 10,
        num_images: 2,
        seed: 5,
        output_format: "png",
      },
    };
    expect(draftOf(generation, CATALOGUE)).toEqual(form);
    expect(draftOf({ ...generation, model: "miniature-ink", adapter: null }, CATALOGUE)).toMatchObject({
      model: "miniature-ink",
      adapter: false,
      scale: null,
    });
  });

  it("keeps a size that no shape has", ({ expect }) => {
    const parameters = { ...GENERATION.parameters, width: 64, height: 136 };
    const form = draftOf({ ...GENERATION, model: "miniature", parameters }, CATALOGUE);
    expect(form.ratio).toBe("64:136");
    expect(requestOf(form, CATALOGUE)).toMatchObject({ width: 88, height: 184 });
  });

  it("leaves the adapter out when told to", ({ expect }) => {
    expect(requestOf({ ...EMPTY, prompt: "a", adapter: false, scale: 0.5 }, CATALOGUE)).toEqual({
      prompt: "a",
      adapter: null,
    });
  });
});

describe("words", () => {
  it("weigh more each time", ({ expect }) => {
    const once = emphasised("two cats", "purple cat");
    expect(once).toBe("two cats, (purple cat:1.4)");
    expect(emphasised(once, "purple cat")).toBe("two cats, (purple cat:1.8)");
    expect(emphasised("a, (b:3)", "b")).toBe("a, (b:3.0)");
    expect(emphasised("a, (b:x", "b")).toBe("a, (b:x, (b:1.4)");
  });

  it("surprise with whole sentences at both ends of chance", ({ expect }) => {
    for (const random of [0, 0.5, 0.999999]) expect(surprise(() => random)).not.toMatch(/undefined|^\s*$/);
  });

  it("are a recipe that draws the same picture, quoted for a shell and without a key", ({ expect }) => {
    const generation = { ...GENERATION, prompt: 'it\'s "a" cat' };
    expect(recipeOf(generation)).toMatchObject({ prompt: generation.prompt, seed: generation.parameters.seed });
    const curl = curlOf(generation, "http://127.0.0.1:8787");
    expect(curl).toContain(`it'\\''s \\"a\\" cat`);
    for (const text of [curl, codeOf(generation, "http://127.0.0.1:8787")]) expect(text).not.toContain("vgt_");
  });

  it("name a file after the sentence and the seed", ({ expect }) => {
    const image = {
      index: 0,
      url: "",
      width: 8,
      height: 8,
      content_type: "image/jpeg",
      sha256: "",
      seed: 7,
      flagged: false,
      share_url: null,
    };
    expect(fileNameOf({ ...GENERATION, prompt: "Élan / ../猫 2!" }, image)).toBe("e-lan-猫-2-7.jpg");
    expect(fileNameOf({ ...GENERATION, prompt: "!!" }, image)).toBe("vignette-7.jpg");
  });
});

describe("the clock", () => {
  const answered = (at: number) => new Response(null, { headers: { "X-Request-Id": newId("req", at) } });

  it("is the edge's where the visitor's is wrong", ({ expect }) => {
    observe(answered(Date.now() + 86_400_000));
    expect(Math.abs(edgeNow() - Date.now() - 86_400_000)).toBeLessThan(1000);
    observe(new Response());
    expect(edgeNow() - Date.now()).toBeGreaterThan(80_000_000);
    observe(answered(Date.now() - 2000));
    expect(Math.abs(edgeNow() - Date.now())).toBeLessThan(1000);
  });

  it("tells times as people do", ({ expect }) => {
    const now = Date.parse("2026-11-24T12:00:00Z");
    expect(ago("2026-11-24T11:59:30Z", now)).toBe("just now");
    expect(ago("2026-11-24T11:57:00Z", now)).toBe("3 minutes ago");
    expect(ago("2026-11-24T14:00:00Z", now)).toBe("in 2 hours");
    expect(ago("2026-11-23T12:00:00Z", now)).toBe("yesterday");
  });
});

describe("trouble", () => {
  const refusal = (status: number, code: string, more: object = {}, after: number | null = null) =>
    new ClientError(
      status,
      { type: "t", title: "Title", status, detail: "Detail.", instance: "/", code, request_id: "req_1", ...more },
      after,
    );

  it("says what to do", ({ expect }) => {
    expect(explain(new TypeError("failed to fetch"), true)).toMatchObject({
      title: "The API cannot be reached",
      remedy: "retry",
    });
    expect(explain(new TypeError("failed to fetch"), false)).toMatchObject({
      title: "You are offline",
      remedy: "retry",
    });
    expect(explain(refusal(401, "key_revoked"))).toMatchObject({ remedy: "key", detail: "Detail." });
    expect(explain(refusal(403, "scope_missing"))).toMatchObject({ remedy: "key" });
    expect(explain(refusal(429, "rate_limited", {}, 7))).toMatchObject({ remedy: "wait", seconds: 7 });
    expect(explain(refusal(503, "models_unknown"))).toMatchObject({ remedy: "wait", seconds: 5 });
    expect(explain(refusal(429, "quota_exceeded", {}, 7200))).toMatchObject({
      remedy: "none",
      detail: "Detail. Possible again in 2 hours.",
    });
    expect(
      explain(refusal(422, "invalid_request", { errors: [{ pointer: "#/width", detail: "Too wide." }] })),
    ).toMatchObject({ remedy: "edit", fields: { width: "Too wide." } });
    expect(explain(refusal(404, "not_found")).detail).toContain("deleted");
    expect(explain(refusal(500, "internal"))).toMatchObject({ remedy: "retry", requestId: "req_1" });
    expect(explain(new ClientError(502, null, null))).toMatchObject({
      title: "The server answered 502",
      remedy: "retry",
    });
  });
});
