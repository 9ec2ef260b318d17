import assert from "node:assert/strict";
import { it } from "node:test";
import { choose } from "../../scripts/lib/bench.mjs";

const MISSING = "no Chromium is installed here.";

it("without Chromium the benches that nobody named are all but the page, and that is said", () => {
  const whole = choose([], undefined);
  assert.deepEqual(whole.left, []);
  assert.ok(whole.names.includes("page"));
  const { names, left } = choose([], MISSING);
  assert.deepEqual(
    names,
    whole.names.filter((name) => name !== "page"),
  );
  assert.deepEqual(left, [`! The bench page was NOT run: ${MISSING}`]);
});

it("a bench that was named is not passed over", () => {
  assert.deepEqual(choose(["page", "edge-storm"], MISSING), { names: ["page", "edge-storm"], left: [] });
});
