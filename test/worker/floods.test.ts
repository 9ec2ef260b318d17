import { env } from "cloudflare:workers";
import { beforeEach, describe, it, vi } from "vitest";
import { Problem } from "../../src/contract/problem.ts";
import { call } from "./harness.ts";
import { installWorld, limited, post, quotas, refusal, type World } from "./limited.ts";

let world: World;
beforeEach(() => {
  world = installWorld();
});

describe("the coarse limit", () => {
  const READS = [
    ["GET", "/v1/usage"],
    ["GET", "/v1/groups/guild"],
    ["PATCH", "/v1/groups/guild", { limits: { concurrent: 2 } }],
  ] as const;

  it("stands before every way to the limits object", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 5 });
    vi.spyOn(env.COARSE_LIMIT, "limit").mockResolvedValue({ success: false });
    const hop = vi.spyOn(env.LIMITS, "get");
    for (const [method, path, body] of READS) {
      const answer = await call(method, path, { key, body });
      expect(await refusal(answer), path).toMatchObject({
        code: "rate_limited",
        status: 429,
        violated: ["burst"],
        retryAfter: 10,
      });
    }
    expect(hop).not.toHaveBeenCalled();
  });

  it("that fails refuses nobody, and the object counts as exactly as ever", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 2 });
    const told = vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(env.COARSE_LIMIT, "limit").mockRejectedValue(new Error("overloaded"));
    for (const [method, path, body] of READS) expect((await call(method, path, { key, body })).status, path).toBe(200);
    expect((await post(key)).status).toBe(202);
    expect((await post(key)).status).toBe(202);
    expect(await refusal(await post(key))).toMatchObject({ violated: ["requests"], retryAfter: 30 });
    expect(told.mock.calls.some(([line]) => String(line).includes("coarse_limit_unavailable"))).toBe(true);
  });
});

describe("what a refusal at a limit says", () => {
  it("is the IETF's type, beside the code and the policies", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 1 });
    await post(key);
    const problem = Problem.parse(await (await post(key)).json());
    expect(problem).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      code: "rate_limited",
      title: "Too many requests",
      "violated-policies": ["requests"],
    });
    const other = Problem.parse(await (await post(key, { width: 3 })).json());
    expect(other.type).toBe("urn:vignette:problem:invalid_request");
  });

  it("names one moment in both headers, and a unit where it is not requests", async ({ expect }) => {
    const key = await limited({ requests_per_minute: 2, concurrent: 9, images_per_day: 4 });
    const first = await post(key);
    expect(first.headers.get("RateLimit-Policy")).toBe(
      '"requests";q=2;w=60, "concurrent";q=9;qu="concurrent-requests", "images-per-day";q=4;qu="images";w=86400',
    );
    await post(key);
    const refused = await post(key);
    expect(refused.headers.get("Retry-After")).toBe("30");
    expect(refused.headers.get("RateLimit")).toMatch(/^"requests";r=0;t=30, /);
    world.pass(60_000);
    await post(key, { num_images: 2 });
    const day = await post(key);
    expect(day.status).toBe(429);
    expect(day.headers.get("RateLimit")).toContain(`"images-per-day";r=0;t=${day.headers.get("Retry-After")}`);
    expect(await quotas(key)).toMatchObject({ "images-per-day": 0 });
  });
});
