import { describe, it } from "vitest";
import {
  CreateGeneration,
  GenerationEvent,
  hashKey,
  idPattern,
  isWellFormedKey,
  newId,
  newKey,
  pointer,
  timeOf,
} from "../../src/contract/index.ts";
import { EVENT_NAMES } from "../../src/contract/terms.ts";

describe("ids", () => {
  it("sort by time, also within the alphabet's turns", ({ expect }) => {
    const times = [0, 1, 31, 32, 1023, 1024, 1_795_000_000_000, 1_795_000_000_001, 2 ** 48 - 1];
    const ids = times.map((time) => newId("gen", time));
    expect([...ids].sort()).toEqual(ids);
    for (const id of ids) expect(id).toMatch(idPattern("gen"));
    expect(ids.map(timeOf)).toEqual(times);
    for (const text of ["", "gen_", "gen_short", "gen_uuuuuuuuuuuuuuuuuuuuuuuuuu"]) expect(timeOf(text)).toBeNaN();
  });

  it("differ within one millisecond", ({ expect }) => {
    expect(new Set(Array.from({ length: 1000 }, () => newId("gen", 5))).size).toBe(1000);
  });
});

describe("keys", () => {
  it("carry a checksum that catches every single changed or swapped character", async ({ expect }) => {
    const { secret } = await newKey();
    expect(isWellFormedKey(secret)).toBe(true);
    for (let i = 4; i < secret.length; i++) {
      const changed = secret.slice(0, i) + (secret[i] === "a" ? "b" : "a") + secret.slice(i + 1);
      expect(isWellFormedKey(changed), changed).toBe(false);
      const swapped = secret.slice(0, i - 1) + secret.charAt(i) + secret.charAt(i - 1) + secret.slice(i + 1);
      if (i > 4 && swapped !== secret) expect(isWellFormedKey(swapped), swapped).toBe(false);
    }
  });

  it("are told by their hash and never repeat", async ({ expect }) => {
    const keys = await Promise.all(Array.from({ length: 50 }, () => newKey()));
    expect(new Set(keys.map(({ secret }) => secret)).size).toBe(50);
    for (const { secret, hash, prefix } of keys) {
      expect(hash).toBe(await hashKey(secret));
      expect(secret.startsWith(prefix)).toBe(true);
      expect(secret).toMatch(/^vgt_[0-9A-Za-z]{38}$/);
    }
    // SHA-256 of "abc", FIPS 180-2 appendix B.1.
    expect(await hashKey("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});

describe("pointers", () => {
  it("are escaped as RFC 6901 says", ({ expect }) => {
    expect(pointer([])).toBe("#");
    expect(pointer(["a", 0])).toBe("#/a/0");
    expect(pointer(["a/b", "m~n", "c d"])).toBe("#/a~1b/m~0n/c%20d");
    expect(pointer(["half a pair: \ud83d"])).toBe("#/half%20a%20pair%3A%20%EF%BF%BD");
  });
});

describe("a request", () => {
  it("needs a prompt only", ({ expect }) => {
    expect(CreateGeneration.parse({ prompt: "a cat" })).toEqual({
      prompt: "a cat",
      num_images: 1,
      output_format: "png",
    });
  });

  it("tells no adapter from the default one", ({ expect }) => {
    expect(CreateGeneration.parse({ prompt: "a cat", adapter: null }).adapter).toBeNull();
    expect(CreateGeneration.parse({ prompt: "a cat" })).not.toHaveProperty("adapter");
  });

  it("keeps the prompt as it is: spaces and line ends mean something to a tokenizer", ({ expect }) => {
    expect(CreateGeneration.parse({ prompt: "  a cat\n" }).prompt).toBe("  a cat\n");
  });
});

describe("events", () => {
  it("have the names that the client looks for", ({ expect }) => {
    expect(GenerationEvent.options.map(({ shape }) => shape.type.value)).toEqual([...EVENT_NAMES]);
  });
});
