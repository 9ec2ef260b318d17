import fc from "fast-check";
import { describe, it } from "vitest";
import { CreateGeneration } from "../../src/contract/index.ts";
import { canonicalJson, fingerprintOf } from "../../src/worker/services/canonical.ts";
import { parseIdempotencyKey } from "../../src/worker/services/idempotency.ts";
import { cacheKeyOf } from "../../src/worker/services/reuse.ts";

// The same cases each time: a new one that fails belongs into a commit, not into somebody else's run.
fc.configureGlobal({ seed: 20261125, numRuns: 200 });

const anything = fc.string({ unit: "binary" });
const printable = fc.string({
  minLength: 1,
  maxLength: 255,
  unit: fc.constantFrom(...[...Array(95)].map((_, n) => String.fromCharCode(32 + n))),
});

describe("an Idempotency-Key", () => {
  it("is the same quoted, as the draft writes it, and bare, as clients send it", ({ expect }) => {
    fc.assert(
      fc.property(
        printable.filter((key) => key.trim() === key && !key.startsWith('"')),
        (key) => {
          const quoted = `"${key.replace(/["\\]/g, "\\$&")}"`;
          expect(parseIdempotencyKey(key)).toBe(key);
          expect(parseIdempotencyKey(quoted)).toBe(key);
        },
      ),
    );
  });

  it("is taken or refused, whatever a header holds", ({ expect }) => {
    fc.assert(
      fc.property(anything, (header) => {
        try {
          expect(parseIdempotencyKey(header)).toMatch(/^[\x20-\x7e]{1,255}$/);
        } catch (refusal) {
          expect(refusal).toMatchObject({ code: "idempotency_key_invalid" });
        }
      }),
    );
  });

  it("tells equal requests by their values: the order of their fields means nothing", async ({ expect }) => {
    const shuffled = (value: unknown): unknown =>
      value !== null && typeof value === "object" && !Array.isArray(value)
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([name, inner]) => [name, shuffled(inner)]),
          )
        : value;
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (one, other) => {
        expect(await fingerprintOf(shuffled(one))).toBe(await fingerprintOf(one));
        if (canonicalJson(one) !== canonicalJson(other))
          expect(await fingerprintOf(one)).not.toBe(await fingerprintOf(other));
        expect(JSON.parse(canonicalJson(one))).toEqual(JSON.parse(JSON.stringify(one)));
      }),
    );
  });
});

describe("the cache's key", () => {
  const parameters = fc.record({
    width: fc.constantFrom(128, 256),
    height: fc.constantFrom(128, 256),
    num_inference_steps: fc.integer({ min: 1, max: 3 }),
    guidance_scale: fc.constantFrom(1, 7.5),
    scheduler: fc.constantFrom("DDIMScheduler", "EulerDiscreteScheduler"),
    seed: fc.integer({ min: 0, max: 2 }),
    num_images: fc.integer({ min: 1, max: 2 }),
    output_format: fc.constantFrom("png", "webp"),
  });
  const pixels = fc.record({
    accountId: fc.constantFrom("acme", "globex"),
    prompt: fc.constantFrom("a cat", "a dog"),
    model: fc.constantFrom("miniature", "other"),
    version: fc.constantFrom("v1", "v2"),
    adapter: fc.constantFrom(null, { id: "sur", scale: 1 }, { id: "sur", scale: 0.5 }),
    negativePrompt: fc.constantFrom(null, "fog"),
    parameters,
  });
  const keyOf = ({ accountId, prompt, ...rest }: typeof pixels extends fc.Arbitrary<infer T> ? T : never) =>
    cacheKeyOf(accountId, CreateGeneration.parse({ prompt, seed: rest.parameters.seed }), rest as never);

  it("differs wherever something differs that decides a pixel or who may see it, and nowhere else", async ({
    expect,
  }) => {
    await fc.assert(
      fc.asyncProperty(pixels, pixels, async (one, other) => {
        const same = canonicalJson(one) === canonicalJson(other);
        expect((await keyOf(one)) === (await keyOf(other))).toBe(same);
        expect(await keyOf(structuredClone(one))).toBe(await keyOf(one));
      }),
    );
  });

  it("changes with each of them alone", async ({ expect }) => {
    await fc.assert(
      fc.asyncProperty(pixels, pixels, async (one, other) => {
        for (const name of Object.keys(one) as (keyof typeof one)[]) {
          const changed = { ...one, [name]: other[name] };
          expect((await keyOf(one)) === (await keyOf(changed)), name).toBe(
            canonicalJson(one[name]) === canonicalJson(other[name]),
          );
        }
      }),
    );
  });
});
