import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { unstable_readConfig } from "wrangler";
import { command } from "../../scripts/lib/command.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";

const config = join(ROOT, "wrangler.toml");
const read = (env) => unstable_readConfig({ config, env }, { hideWarnings: true });

/** What the worker finds in its environment, by the kind of binding. */
function bindings({ d1_databases, r2_buckets, queues, durable_objects, ratelimits, analytics_engine_datasets }) {
  return {
    d1: d1_databases.map(({ binding }) => binding),
    r2: r2_buckets.map(({ binding }) => binding),
    producers: queues.producers.map(({ binding }) => binding),
    objects: durable_objects.bindings.map(({ name, class_name }) => [name, class_name]),
    limits: ratelimits.map(({ name, simple }) => [name, simple]),
    metrics: analytics_engine_datasets.map(({ binding }) => binding),
  };
}

/** Everything by which two environments could touch each other's. */
function names({ name, d1_databases, r2_buckets, queues, ratelimits, analytics_engine_datasets }) {
  return [
    `worker ${name}`,
    ...d1_databases.map(({ database_name }) => `database ${database_name}`),
    ...r2_buckets.map(({ bucket_name }) => `bucket ${bucket_name}`),
    ...queues.producers.map(({ queue }) => `to ${queue}`),
    ...queues.consumers.map(({ queue }) => `from ${queue}`),
    ...ratelimits.map(({ namespace_id }) => `limit ${namespace_id}`),
    ...analytics_engine_datasets.map(({ dataset }) => `dataset ${dataset}`),
  ];
}

describe("wrangler.toml", () => {
  const production = read();
  const staging = read("staging");

  it("gives every environment the same bindings, crons and migrations under names of its own", () => {
    assert.deepEqual(bindings(staging), bindings(production));
    assert.deepEqual(staging.triggers, production.triggers);
    assert.deepEqual(staging.migrations, production.migrations);
    assert.equal(staging.compatibility_date, production.compatibility_date);
    assert.deepEqual(staging.compatibility_flags, production.compatibility_flags);
    const both = [...names(production), ...names(staging)];
    assert.equal(new Set(both).size, both.length);
  });

  it("fetches through the front door alone, and leaves the dashboard's variables as they are", () => {
    for (const { compatibility_flags, keep_vars } of [production, staging]) {
      assert.ok(compatibility_flags.includes("global_fetch_strictly_public"));
      assert.equal(keep_vars, true);
    }
  });

  it("writes out every number of every queue, and consumes what it produces and what is dead", () => {
    for (const { queues } of [production, staging]) {
      const consumed = new Set(queues.consumers.map(({ queue }) => queue));
      for (const { queue } of queues.producers) assert.ok(consumed.has(queue), queue);
      for (const consumer of queues.consumers) {
        for (const setting of ["max_batch_size", "max_batch_timeout", "max_retries"])
          assert.equal(typeof consumer[setting], "number", `${consumer.queue} ${setting}`);
        if (consumer.dead_letter_queue) assert.ok(consumed.has(consumer.dead_letter_queue));
      }
    }
  });
});

describe("npm run deploy", () => {
  const run = (...args) => command(process.execPath, [join(ROOT, "scripts", "run.mjs"), "deploy", ...args]);

  for (const [args, bucket] of [
    [[], "vignette-images"],
    [["--env", "staging"], "vignette-images-staging"],
  ])
    it(`bundles ${args.join(" ") || "production"} without touching anything in a dry run`, async () => {
      const { code, tail } = await run("--dry-run", ...args);
      assert.equal(code, 0, tail);
      assert.match(tail, new RegExp(`IMAGES \\(${bucket}\\)`));
      assert.match(tail, /--dry-run: exiting now/);
    });

  it("says what it does not understand", async () => {
    const { code, tail } = await run("--env");
    assert.equal(code, 2);
    assert.match(tail, /--env staging/);
  });
});
