import assert from "node:assert/strict";
import { stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Place, until } from "./launch.ts";

describe("npm start", { timeout: 600_000 }, () => {
  let place: Place;
  beforeEach(async () => {
    place = await Place.create();
  });
  afterEach(async () => {
    await place.leave();
  });

  it("is ready, keeps its key between runs, and SIGTERM leaves no process behind", async () => {
    const first = await place.start();
    assert.equal((await fetch(`${first.instance.url}/readyz`)).status, 200);
    assert.match(first.launch.stdout, new RegExp(`API key: ${first.instance.api_key}\n`));
    assert.equal((await stat(join(place.state, "dev.json"))).mode & 0o777, 0o600);
    assert.ok((await place.processes()).length >= 4, "launcher, edge, workerd and runner are recognised");
    first.launch.process.kill("SIGTERM");
    assert.equal(await first.launch.ended, 0);
    await place.empty();
    assert.equal((await place.instance()).url, undefined);

    const second = await place.start();
    assert.equal(second.instance.api_key, first.instance.api_key);
    second.launch.process.kill("SIGINT");
    assert.equal(await second.launch.ended, 0);
  });

  it("offers at once what another models.toml lists", async () => {
    const listed = async (env: Record<string, string>) => {
      const { launch, instance } = await place.start(env);
      const headers = { Authorization: `Bearer ${instance.api_key}` };
      const { data } = (await (await fetch(`${instance.url}/v1/models`, { headers })).json()) as {
        data: { id: string }[];
      };
      launch.process.kill("SIGTERM");
      await launch.ended;
      return data.map(({ id }) => id);
    };
    assert.deepEqual(await listed({}), ["miniature", "miniature-ink"]);
    const weights = fileURLToPath(new URL("../../gpu-runner/miniature/weights/day", import.meta.url));
    const other = join(place.state, "models.toml");
    await writeFile(other, `[[models]]\nid = "of-my-own"\npath = ${JSON.stringify(weights)}\ndefault = true\n`);
    assert.deepEqual(await listed({ VIGNETTE_MODELS: other }), ["of-my-own"]);
  });

  it("does not outlive a launcher that is killed outright", async () => {
    const { launch } = await place.start();
    launch.process.kill("SIGKILL");
    assert.equal(await launch.ended, "SIGKILL");
    await place.empty();
  });

  it("stops while it is still starting", async () => {
    const launch = place.launch(["start"]);
    await until(async () => (await place.instance()).runner_token !== undefined);
    launch.process.kill("SIGTERM");
    assert.equal(await launch.ended, 143);
  });

  it("survives the death of its workerd, and ends with a sentence when the edge itself dies", async () => {
    const { launch, instance } = await place.start();
    const workerd = async () => (await place.processes()).find((line) => /workerd serve --binary/.test(line));
    const first = await workerd();
    assert.ok(first, "workerd runs");
    process.kill(Number.parseInt(first, 10), "SIGKILL");
    await until(async () => ![undefined, first].includes(await workerd()));
    await until(async () =>
      fetch(`${instance.url}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    process.kill(instance.pids.edge, "SIGKILL");
    assert.equal(await launch.ended, 1);
    assert.match(launch.stderr, /The edge died\./);
  });

  it("restarts a runner that dies", async () => {
    const { launch, instance } = await place.start();
    process.kill(instance.pids.runner, "SIGKILL");
    await until(async () => {
      const { pids } = await place.instance();
      return pids !== undefined && pids.runner !== instance.pids.runner;
    });
    await until(async () => (await fetch(`${instance.url}/readyz`)).status === 200);
    launch.process.kill("SIGTERM");
    assert.equal(await launch.ended, 0);
  });

  it("ends with the runner's sentence when that cannot start", async () => {
    const models = join(place.state, "models.toml");
    await writeFile(models, "[[models]]\nid = 'absent'\npath = 'absent'\n");
    const hopeless = place.launch(["start"], { VIGNETTE_MODELS: models });
    assert.notEqual(await hopeless.ended, 0);
    assert.match(hopeless.stderr, /absent/);
    assert.doesNotMatch(hopeless.stderr, /Traceback|\n {4}at /);
  });

  it("says which port is busy", async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        const address = server.address();
        resolve(typeof address === "object" && address ? address.port : 0);
      });
    });
    try {
      const launch = place.launch(["start"], { PORT: String(port) });
      assert.equal(await launch.ended, 1);
      assert.match(launch.stderr, new RegExp(`^Port ${port} is in use by another program\\..*PORT=<port>.*\n$`));
    } finally {
      server.close();
    }
  });

  it("does not start twice on one state folder", async () => {
    const { launch, instance } = await place.start();
    const twin = place.launch(["start"]);
    assert.equal(await twin.ended, 1);
    assert.match(
      twin.stderr,
      new RegExp(`already runs here at ${instance.url} \\(process ${instance.pids.launcher}\\)`),
    );
    launch.process.kill("SIGTERM");
    assert.equal(await launch.ended, 0);
  });
});
