import { beforeAll, describe, it } from "vitest";
import { Problem } from "../../src/contract/problem.ts";
import { call, installRunner, makeKey } from "./harness.ts";

let key: string;
beforeAll(async () => {
  installRunner();
  key = await makeKey();
});

const prompt = "two purple cats";
/** Request body, then the pointer at fault and a word of the remedy. */
const FIELDS: Record<string, [unknown, string, string]> = {
  "no prompt": [{}, "#/prompt", "needed"],
  "empty prompt": [{ prompt: "" }, "#/prompt", "empty"],
  "blank prompt": [{ prompt: " \n\t " }, "#/prompt", "empty"],
  "100 kB prompt": [{ prompt: "cat ".repeat(25_000) }, "#/prompt", "shorten"],
  "prompt longer than the model's": [{ prompt: "x".repeat(1001) }, "#/prompt", "shorten it to 1000"],
  "prompt of another type": [{ prompt: 5 }, "#/prompt", "string"],
  "half a surrogate pair": ['{"prompt":"a \\ud83d cat"}', "#/prompt", "surrogate"],
  "control characters": [{ prompt: "a\u0000cat" }, "#/prompt", "remove them"],
  "unknown field": [{ prompt, stpes: 5 }, "#/stpes", "remove it"],
  "field with a slash": [{ prompt, "a/b~": 1 }, "#/a~1b~0", "remove it"],
  "width off the grid": [{ prompt, width: 130 }, "#/width", "multiple of 8"],
  "width too large for the model": [{ prompt, width: 512 }, "#/width", "64 to 256"],
  "height as text": [{ prompt, height: "128" }, "#/height", "number"],
  "negative steps": [{ prompt, num_inference_steps: -1 }, "#/num_inference_steps", ">=1"],
  "half a step": [{ prompt, num_inference_steps: 2.5 }, "#/num_inference_steps", "int"],
  "too many steps": [{ prompt, num_inference_steps: 101 }, "#/num_inference_steps", "at most 100"],
  "negative guidance": [{ prompt, guidance_scale: -1 }, "#/guidance_scale", ">=0"],
  "adapter scale": [{ prompt, adapter_scale: 3 }, "#/adapter_scale", "<=2"],
  "scale without adapter": [{ prompt, adapter: null, adapter_scale: 1 }, "#/adapter_scale", "leave adapter_scale out"],
  "unknown model": [{ prompt, model: "dall-e" }, "#/model", "choose one of miniature"],
  "unknown adapter": [{ prompt, adapter: "lora" }, "#/adapter", "choose one of sur"],
  "unknown scheduler": [{ prompt, scheduler: "Nope" }, "#/scheduler", "choose one of DDIMScheduler"],
  "negative seed": [{ prompt, seed: -1 }, "#/seed", ">=0"],
  "huge seed": [{ prompt, seed: 2 ** 40 }, "#/seed", "<="],
  "five images": [{ prompt, num_images: 5 }, "#/num_images", "<=4"],
  "no images": [{ prompt, num_images: 0 }, "#/num_images", ">=1"],
  format: [{ prompt, output_format: "gif" }, "#/output_format", "png"],
  "metadata value": [{ prompt, metadata: { a: 1 } }, "#/metadata/a", "string"],
  "too much metadata": [
    { prompt, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, ""])) },
    "#/metadata",
    "16",
  ],
  "a list": [[], "#", "object"],
  "a null": ["null", "#", "object"],
};

describe("POST /v1/generations", () => {
  it.for(Object.entries(FIELDS))("refuses %s with 422", async ([, [body, pointer, remedy]], { expect }) => {
    const response = await call("POST", "/v1/generations", { key, body });
    expect(response.status).toBe(422);
    const problem = Problem.parse(await response.json());
    expect(problem.code).toBe("invalid_request");
    expect(problem.errors?.map((error) => error.pointer)).toEqual([pointer]);
    expect(problem.errors?.[0]?.detail.toLowerCase()).toContain(remedy.toLowerCase());
  });

  it("names every field at fault at once", async ({ expect }) => {
    const body = { prompt: "", width: 3, nonsense: true, seed: "x" };
    const { errors } = Problem.parse(await (await call("POST", "/v1/generations", { key, body })).json());
    expect(new Set(errors?.map(({ pointer }) => pointer))).toEqual(
      new Set(["#/prompt", "#/width", "#/nonsense", "#/seed"]),
    );
  });

  const latin1 = new Uint8Array(
    [...'{"seed":1,"prompt":"caf'].map((char) => char.charCodeAt(0)).concat(0xe9, 0x22, 0x7d),
  );
  const WHOLE: Record<string, [string | Uint8Array, string, number, string, string | undefined]> = {
    "broken JSON": ['{"prompt": "a cat"', "application/json", 400, "invalid_json", "#"],
    "an empty body": ["", "application/json", 400, "invalid_json", "#"],
    "bytes that are not UTF-8": [latin1, "application/json; charset=utf-8", 400, "invalid_utf8", "#/prompt"],
    "bytes that are nothing": [new Uint8Array([0xff, 0xfe]), "application/json", 400, "invalid_utf8", "#"],
    "another content type": [
      "prompt=cat",
      "application/x-www-form-urlencoded",
      415,
      "unsupported_media_type",
      undefined,
    ],
    "a body beyond the limit": [`"${"x".repeat(600_000)}"`, "application/json", 413, "body_too_large", undefined],
  };
  it.for(Object.entries(WHOLE))("refuses %s", async ([, [body, type, status, code, pointer]], { expect }) => {
    const response = await call("POST", "/v1/generations", { key, body, headers: { "Content-Type": type } });
    expect(response.status).toBe(status);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    const problem = Problem.parse(await response.json());
    expect(problem).toMatchObject({ code, status, instance: "/v1/generations", type: `urn:vignette:problem:${code}` });
    expect(problem.request_id).toBe(response.headers.get("X-Request-Id"));
    expect(problem.errors?.[0]?.pointer).toBe(pointer);
  });
});

describe("elsewhere", () => {
  it("refuses query parameters that make no sense", async ({ expect }) => {
    for (const [query, pointer] of [
      ["limit=0", "#/limit"],
      ["limit=many", "#/limit"],
      ["cursor=abc", "#/cursor"],
      ["status=done", "#/status"],
      ["order=asc", "#/order"],
    ]) {
      const response = await call("GET", `/v1/generations?${query}`, { key });
      expect(response.status, query).toBe(422);
      expect(Problem.parse(await response.json()).errors?.[0]?.pointer).toBe(pointer);
    }
  });

  it("answers 404 for what is not there and 405 with Allow for a wrong method", async ({ expect }) => {
    const nowhere = await call("GET", "/v2/generations", { key });
    expect(nowhere.status).toBe(404);
    expect(Problem.parse(await nowhere.json()).code).toBe("not_found");
    for (const [method, path, allow] of [
      ["PUT", "/v1/generations", "GET, HEAD, POST"],
      ["POST", "/v1/models", "GET, HEAD"],
      ["GET", "/v1/generations/gen_x/cancel", "POST"],
      ["DELETE", "/i/a.png", "GET, HEAD"],
    ] as const) {
      const response = await call(method, path, { key });
      expect(response.status, path).toBe(405);
      expect(new Set(response.headers.get("Allow")?.split(", "))).toEqual(new Set(allow.split(", ")));
      expect(Problem.parse(await response.json())).toMatchObject({ code: "method_not_allowed", status: 405 });
      expect(response.headers.get("X-Request-Id")).toMatch(/^req_/);
    }
  });
});
