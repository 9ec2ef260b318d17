import { env } from "cloudflare:workers";
import { describe, it, vi } from "vitest";
import { isWellFormedKey, newKey } from "../../src/contract/keys.ts";
import { Problem } from "../../src/contract/problem.ts";
import { call } from "./harness.ts";

/** How a key is answered, and how often that asked the database. */
async function tried(key: string) {
  const prepare = vi.spyOn(env.DB, "prepare");
  const response = await call("GET", "/v1/models", { key });
  const reads = prepare.mock.calls.length;
  prepare.mockRestore();
  return { code: Problem.parse(await response.json()).code, reads };
}

/** The same text with another character at `at`. */
const changed = (text: string, at: number) => text.slice(0, at) + (text[at] === "a" ? "b" : "a") + text.slice(at + 1);

describe("a made-up key", () => {
  it("costs nothing where its form or its checksum is wrong", async ({ expect }) => {
    const { secret } = await newKey();
    const random = () =>
      String.fromCharCode(...crypto.getRandomValues(new Uint8Array(38)).map((byte) => 97 + (byte % 26)));
    const guesses = Array.from({ length: 20 }, () => `vgt_${random()}`);
    expect(guesses.some(isWellFormedKey)).toBe(false);
    for (const key of [...guesses, changed(secret, 10), changed(secret, 41), `${secret}0`, secret.slice(0, -1), "sk-1"])
      expect(await tried(key), key).toEqual({ code: "key_malformed", reads: 0 });
  });

  it("costs one read where nothing but the database can tell, and no second one at once", async ({ expect }) => {
    const { secret } = await newKey();
    expect(await tried(secret)).toEqual({ code: "key_unknown", reads: 1 });
    expect(await tried(secret)).toEqual({ code: "key_unknown", reads: 0 });
  });
});
