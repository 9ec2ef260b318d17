import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import Replicate, { type FileOutput } from "replicate";
import { startChild } from "../../scripts/lib/child.mjs";
import { claimPorts, HOST } from "../../scripts/lib/ports.mjs";
import { vignettePython } from "../../scripts/lib/python.mjs";
import { waitReady } from "../../scripts/lib/runner.mjs";
import { Place, ROOT } from "./launch.ts";

const PUBLIC = "https://runner.example";
const TOKEN = "a-token-for-tests-only";

/** A runner behind a proxy that ends TLS, which is there in the SDK's `fetch` alone. */
describe("the official replicate SDK behind https", { timeout: 240_000 }, () => {
  let place: Place;
  let runner: ReturnType<typeof startChild>;
  let replicate: Replicate;
  /** What the SDK asked for, by path, and whether it said who it is. */
  const asked: { path: string; authorized: boolean }[] = [];

  before(async () => {
    place = await Place.create();
    const [port] = await claimPorts([["RUNNER_PORT", 0]]);
    const here = `http://${HOST}:${port}`;
    const { file, args, env } = vignettePython(["serve", "--port", String(port), "--public-url", `${PUBLIC}/`]);
    const secrets = { RUNNER_TOKEN: TOKEN, RUNNER_WEBHOOK_SECRET: `whsec_${btoa("r".repeat(32))}` };
    runner = startChild(file, args, {
      cwd: ROOT,
      env: { ...env, ...secrets, VIGNETTE_STATE: place.state, VIGNETTE_DEVICE: "cpu" },
      log: join(place.state, "runner.log"),
    });
    const gone = new AbortController();
    void runner.exited.then(() => gone.abort());
    assert.ok(await waitReady(here, gone.signal), "the runner ended before it was ready");
    const proxied: typeof fetch = (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      assert.equal(url.origin, PUBLIC);
      asked.push({ path: url.pathname, authorized: new Headers(init?.headers).has("Authorization") });
      return fetch(url.href.replace(PUBLIC, here), init);
    };
    replicate = new Replicate({ auth: TOKEN, baseUrl: `${PUBLIC}/v1`, fetch: proxied });
  });
  after(async () => {
    await runner.stop();
    await place.leave();
  });

  it("run() gives files that can be read, for which it sends no token", async () => {
    const input = { prompt: "a red fox in the snow", num_inference_steps: 4, seed: 7 };
    const [output] = (await replicate.run("vignette/miniature", { input })) as [FileOutput];
    const picture = await output.blob();
    assert.equal(picture.type, "image/png");
    assert.equal(
      Buffer.from(await picture.arrayBuffer())
        .subarray(1, 4)
        .toString(),
      "PNG",
    );
    const { path, authorized } = asked.at(-1) ?? {};
    assert.match(path ?? "", /^\/files\/[^/]+\/0\.png$/);
    assert.equal(authorized, false);
  });

  it("stream() ends, and what it tells of can be read", async () => {
    const input = { prompt: "a yellow duck", num_inference_steps: 4 };
    const outputs: string[] = [];
    for await (const { event, data } of replicate.stream("vignette/miniature", { input }))
      if (event === "output") outputs.push(data);
    assert.equal(outputs.length, 1);
    assert.equal((await replicate.fetch(outputs[0] ?? "")).status, 200);
  });
});
