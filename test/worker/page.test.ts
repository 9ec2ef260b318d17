import { beforeAll, describe, it } from "vitest";
import { fromThisMachine } from "../../src/worker/same-origin.ts";
import { call, installRunner } from "./harness.ts";

beforeAll(() => {
  installRunner();
});

const html = { Accept: "text/html,application/xhtml+xml" };

describe("the page", () => {
  it("is served at each of its addresses, with a policy that runs nothing inline", async ({ expect }) => {
    for (const path of [
      "/",
      "/g/gen_1",
      "/compare",
      "/gallery",
      "/gallery/gen_1",
      "/console",
      "/console/usage",
      "/study",
    ]) {
      const response = await call("GET", path, { headers: html });
      expect([path, response.status, response.headers.get("Content-Type")]).toEqual([
        path,
        200,
        "text/html; charset=utf-8",
      ]);
      const policy = response.headers.get("Content-Security-Policy") ?? "";
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).not.toContain("unsafe");
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-cache",
      });
      const text = await response.text();
      expect(text).not.toMatch(/<style|style=|<script(?![^>]*\bsrc=)|\son[a-z]+=/);
      expect(text).toContain('<meta name="session" content="ask">');
    }
  });

  it("names files that are there", async ({ expect }) => {
    const text = await (await call("GET", "/", { headers: html })).text();
    const files = [...text.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map(([, path]) => path ?? "");
    expect(files.length).toBeGreaterThan(3);
    for (const path of files) expect([path, (await call("GET", path)).status]).toEqual([path, 200]);
    expect((await call("GET", "/assets/app-00000000.js")).status).toBe(404);
  });

  it("has a reference page of its own files, which talks to nobody else", async ({ expect }) => {
    const response = await call("GET", "/docs", { headers: html });
    expect([response.status, response.headers.get("Content-Type")]).toEqual([200, "text/html; charset=utf-8"]);
    const policy = response.headers.get("Content-Security-Policy") ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'; ");
    expect(policy).toContain("connect-src 'self'");
    const text = await response.text();
    expect(text).toContain('data-url="/openapi.json"');
    expect(text).not.toMatch(/https?:/);
    const [, script = ""] = /<script src="(\/assets\/reference-[0-9a-f]{8}\.js)"/.exec(text) ?? [];
    const served = await call("GET", script);
    expect(served.status).toBe(200);
    expect((await served.text()).length).toBeGreaterThan(1_000_000);
  });

  it("answers a person at an address that leads nowhere, and a program in its own way", async ({ expect }) => {
    const person = await call("GET", "/nowhere", { headers: html });
    expect([person.status, person.headers.get("Content-Type")]).toEqual([404, "text/html; charset=utf-8"]);
    for (const headers of [{}, { Accept: "application/json" }] as Record<string, string>[]) {
      const program = await call("GET", "/nowhere", { headers });
      expect([program.status, program.headers.get("Content-Type")]).toEqual([404, "application/problem+json"]);
    }
    expect((await call("POST", "/v1/nowhere", { headers: html })).headers.get("Content-Type")).toBe(
      "application/problem+json",
    );
  });

  it("has no key to hand out in a deployment", async ({ expect }) => {
    const headers = { Origin: "https://vignette.test", "Sec-Fetch-Site": "same-origin" };
    expect((await call("POST", "/dev/session", { headers })).status).toBe(404);
  });
});

describe("a page of this machine", () => {
  const asks = (url: string, headers: Record<string, string>) =>
    fromThisMachine(new Request(url, { method: "POST", headers }));
  const same = (origin: string) => ({ Origin: origin, "Sec-Fetch-Site": "same-origin" });

  it("comes from a loopback address, and from the very same", ({ expect }) => {
    for (const origin of ["http://127.0.0.1:8787", "http://localhost:8787", "http://[::1]:8787"])
      expect(asks(`${origin}/dev/session`, same(origin)), origin).toBe(true);
  });

  it("is no other site's, no rebound name's, and no program's", ({ expect }) => {
    const url = "http://127.0.0.1:8787/dev/session";
    expect(asks(url, { ...same("http://127.0.0.1:8787"), "Sec-Fetch-Site": "cross-site" })).toBe(false);
    expect(asks(url, { ...same("http://127.0.0.1:8787"), "Sec-Fetch-Site": "same-site" })).toBe(false);
    expect(asks(url, same("http://127.0.0.1:9999"))).toBe(false);
    expect(asks(url, same("http://evil.test"))).toBe(false);
    expect(asks(url, { Origin: "http://127.0.0.1:8787" })).toBe(false);
    expect(asks("http://evil.test:8787/dev/session", same("http://evil.test:8787"))).toBe(false);
    expect(asks("http://127.0.0.1.evil.test/dev/session", same("http://127.0.0.1.evil.test"))).toBe(false);
  });
});
