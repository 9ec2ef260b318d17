import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, it } from "vitest";
import * as contract from "../../src/contract/index.ts";
import { CreateImages } from "../../src/contract/openai.ts";
import { pointer } from "../../src/contract/problem.ts";
import type { z } from "../../src/contract/zod.ts";
import { append, newHistory, progressAt } from "../../src/worker/generation/history.ts";
import { type Bucket, filledAt, refill } from "../../src/worker/limits/bucket.ts";
import { compile, skeleton } from "../../src/worker/policy/matcher.ts";
import { faultOfUrl, isPublicAddress } from "../../src/worker/webhooks/guard.ts";
import { bodies, bodyOperations, type Description } from "../fakes/bodies.ts";

const { CreateGeneration } = contract;

// The same cases each time: a new one that fails belongs into a commit, not into somebody else's run.
fc.configureGlobal({ seed: 20261125, numRuns: 300 });

/** Any text that a JSON request can carry. */
const anything = fc.string({ unit: "binary" });

describe("the token bucket", () => {
  const gaps = fc.array(fc.integer({ min: -2_000, max: 20_000 }), { maxLength: 200 });

  it("lets through no more than its size and what flows in, however clocks and requests behave", ({ expect }) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), gaps, (perMinute, waits) => {
        let bucket: Bucket | null = null;
        let [now, last, passed] = [1_000_000, 1_000_000, 0];
        for (const wait of waits) {
          now += wait;
          last = Math.max(last, now);
          bucket = refill(bucket, perMinute, now);
          expect(bucket.tokens).toBeLessThanOrEqual(perMinute);
          if (bucket.tokens < 1) continue;
          bucket = { ...bucket, tokens: bucket.tokens - 1 };
          passed++;
        }
        const first = 1_000_000 + Math.min(0, waits[0] ?? 0);
        expect(passed).toBeLessThanOrEqual(perMinute + ((last - first) * perMinute) / 60_000 + 1e-6);
      }),
    );
  });

  it("has a token at the very time that it promised one, and not long before", ({ expect }) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 600 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (perMinute, tokens) => {
          const bucket = { tokens, at: 1_000_000 };
          const at = filledAt(bucket, perMinute, 1);
          expect(refill(bucket, perMinute, at).tokens).toBeGreaterThanOrEqual(1 - 1e-9);
          expect(refill(bucket, perMinute, at - 2).tokens).toBeLessThan(1);
        },
      ),
    );
  });
});

describe("a generation's history", () => {
  const event = fc.oneof(
    fc.constantFrom("queued", "running").map((status) => ({ type: "status", data: { status } }) as never),
    fc.integer({ min: 0, max: 10 }).map((n) => ({ type: "progress", data: progressAt(n, 10, n * 100) }) as never),
    fc.constant({ type: "preview", data: { index: 0, step: 1, image: "data:," } } as never),
    fc
      .constantFrom("succeeded", "failed", "canceled")
      .map((status) => ({ type: "completed", data: { status } }) as never),
  );

  it("has one end, ids that grow, and steps that only grow while it runs, in whatever order news come", ({
    expect,
  }) => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const history = newHistory("gen_1");
        const told = events.flatMap((each) => append(history, each, 0) ?? []);
        expect(told.map(({ id }) => id)).toEqual(told.map((_, n) => n + 1));
        const ends = told.flatMap(({ type }, n) => (type === "completed" ? [n] : []));
        expect(ends.length).toBeLessThanOrEqual(1);
        if (ends[0] !== undefined) expect(ends[0]).toBe(told.length - 1);
        let step = -1;
        for (const { type, data } of told) {
          if (type === "status") step = -1;
          if (type !== "progress") continue;
          expect((data as { step: number }).step).toBeGreaterThan(step);
          step = (data as { step: number }).step;
        }
      }),
    );
  });
});

describe("the guard of receivers' addresses", () => {
  const guard = { allowLocal: false, ports: [443], ownHost: "vignette.example.com" };
  const inner = fc.oneof(
    fc.tuple(fc.constantFrom("10", "127", "0"), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join(".")),
    fc.tuple(fc.integer({ min: 16, max: 31 }), fc.nat(255), fc.nat(255)).map((parts) => `172.${parts.join(".")}`),
    fc.tuple(fc.constantFrom("192.168", "169.254"), fc.nat(255), fc.nat(255)).map((parts) => parts.join(".")),
    fc.tuple(fc.integer({ min: 224, max: 255 }), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join(".")),
  );
  const numberOf = (ip: string) => ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const hex = (ip: string) => numberOf(ip).toString(16).padStart(8, "0");

  it("lets no inner IPv4 address through, however it is written", ({ expect }) => {
    fc.assert(
      fc.property(inner, fc.constantFrom("", ".", "%2e"), (ip, end) => {
        const [a = "", b = "", c = "", d = ""] = ip.split(".");
        const spellings = [
          ip,
          `${ip}${end}`,
          String(numberOf(ip)),
          `0x${hex(ip)}`,
          `0${numberOf(ip).toString(8)}`,
          `0x${Number(a).toString(16)}.${b}.0${Number(c).toString(8)}.${d}`,
          `${a}.${Number(b) * 65_536 + Number(c) * 256 + Number(d)}`,
          ip.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
          `[::ffff:${ip}]`,
          `[::ffff:${hex(ip).slice(0, 4)}:${hex(ip).slice(4)}]`,
          `[64:ff9b::${hex(ip).slice(0, 4)}:${hex(ip).slice(4)}]`,
          `[2002:${hex(ip).slice(0, 4)}:${hex(ip).slice(4)}::1]`,
        ];
        for (const host of spellings) expect(faultOfUrl(`https://${host}/told`, guard), host).not.toBeNull();
        expect(isPublicAddress(ip)).toBe(false);
      }),
    );
  });

  it("lets no inner IPv6 address through", ({ expect }) => {
    const groups = fc.array(fc.nat(0xffff), { minLength: 7, maxLength: 7 });
    const firsts = fc.constantFrom("fc00", "fd12", "fe80", "febf", "ff02");
    fc.assert(
      fc.property(firsts, groups, (first, rest) => {
        const ip = [first, ...rest.map((group) => group.toString(16))].join(":");
        expect(faultOfUrl(`https://[${ip}]/told`, guard), ip).not.toBeNull();
      }),
    );
    for (const ip of ["::1", "::", "::ffff:7f00:1"]) expect(faultOfUrl(`https://[${ip}]/`, guard), ip).not.toBeNull();
  });

  it("answers every text with a sentence or lets it through, and lets only https without a user through", ({
    expect,
  }) => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.webUrl({ withFragments: true, withQueryParameters: true })), (text) => {
        const fault = faultOfUrl(text, guard);
        if (fault !== null) {
          expect(fault).toMatch(/\.$/);
          return;
        }
        const url = new URL(text);
        expect([url.protocol, url.username, url.password, url.hash]).toEqual(["https:", "", "", ""]);
        expect(url.hostname).toContain(".");
      }),
    );
  });
});

describe("a prompt's policy", () => {
  const letters = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(..."abcdefgéöñжя") });
  const disguises = fc.constantFrom<(text: string) => string>(
    (text) => text.toUpperCase(),
    (text) => text.normalize("NFD"),
    (text) => [...text].join("\u200b"),
    (text) => [...text].join("\u00ad"),
    (text) => text.replace(/[a-z]/g, (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0xff41 - 0x61)),
    (text) => text.replace(/[aeo]/g, "$&\u0301"),
  );

  it("finds a word under any disguise that looks the same, in any company", ({ expect }) => {
    fc.assert(
      fc.property(
        letters,
        disguises,
        fc.constantFrom("", "two ", "the, "),
        fc.constantFrom("", " cats", "!"),
        (word, disguise, before, after) => {
          expect(compile([word])(`${before}${disguise(word)}${after}`)).toBe(true);
        },
      ),
    );
  });

  it("finds no word inside another", ({ expect }) => {
    fc.assert(
      fc.property(letters, letters, (word, more) => {
        expect(compile([word])(`${word}${more}`)).toBe(skeleton(word + more) === skeleton(word));
      }),
    );
  });

  it("compares by a form that is its own form", ({ expect }) => {
    fc.assert(fc.property(anything, (text) => void expect(skeleton(skeleton(text))).toBe(skeleton(text))));
  });

  it("takes a prompt or says why, and what it takes it takes again unchanged", ({ expect }) => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.string({ unit: "grapheme" })), (prompt) => {
        const first = CreateGeneration.safeParse({ prompt });
        if (!first.success) {
          expect(first.error.issues[0]?.message).toMatch(/\.$/);
          return;
        }
        expect(first.data.prompt).toBe(prompt.normalize("NFC"));
        expect(CreateGeneration.parse(first.data)).toEqual(first.data);
      }),
    );
  });
});

describe("the contract's requests", () => {
  const description: Description = JSON.parse(readFileSync("docs/openapi.json", "utf8"));
  const names = [...new Set(bodyOperations(description).map(({ schema }) => schema))];
  const schemas = { ...contract, CreateImages } as unknown as Record<string, z.ZodType>;

  it.for(names)(
    "%s takes a body or says what is wrong and where; what it takes it takes again unchanged",
    (name, { expect }) => {
      const schema = schemas[name];
      if (!schema) throw new Error(`The contract exports no ${name}.`);
      let taken = 0;
      fc.assert(
        fc.property(bodies(name, description), (body) => {
          const first = schema.safeParse(body);
          if (first.success) {
            taken++;
            expect(schema.parse(first.data)).toEqual(first.data);
            return;
          }
          expect(first.error.issues.length).toBeGreaterThan(0);
          for (const { message, path } of first.error.issues) {
            expect(message).not.toBe("");
            expect(decodeURIComponent(pointer(path))).toMatch(/^#(\/|$)/);
          }
        }),
      );
      // Refusing everything would be no proof.
      expect(taken).toBeGreaterThan(0);
    },
  );
});
