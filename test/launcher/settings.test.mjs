import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { claimPorts, HOST } from "../../scripts/lib/ports.mjs";
import { readSettings } from "../../scripts/lib/settings.mjs";

describe("the environment", () => {
  it("may be empty", () => {
    const { port, runnerPort, state, models, device } = readSettings({});
    assert.deepEqual({ port, runnerPort, device }, { port: 8787, runnerPort: 8788, device: "auto" });
    assert.match(state, /\/\.vignette$/);
    assert.match(models, /\/gpu-runner\/models\.toml$/);
  });

  const malformed = {
    PORT: ["http", /^PORT is "http"; it must be a port/],
    RUNNER_PORT: ["65536", /^RUNNER_PORT is "65536"/],
    PAGE_KEY: ["yes", /^PAGE_KEY is malformed; it must be 1, or 0 for a page that asks/],
    VIGNETTE_DEVICE: ["gpu", /^VIGNETTE_DEVICE is malformed; it must be auto, cpu/],
    RUNNER_TOKEN: ["short", /^RUNNER_TOKEN is malformed/],
    RUNNER_WEBHOOK_SECRET: ["whsec_%%", /^RUNNER_WEBHOOK_SECRET is malformed; it must be whsec_/],
  };
  for (const [name, [value, sentence]] of Object.entries(malformed))
    it(`names ${name} when it is malformed, and keeps secrets to itself`, () => {
      assert.throws(
        () => readSettings({ [name]: value }),
        ({ message, code }) => {
          assert.match(message, sentence);
          assert.equal(code, 2);
          if (/TOKEN|SECRET/.test(name)) assert.equal(message.includes(value), false);
          return true;
        },
      );
    });

  it("cannot give both halves one port", () => {
    assert.throws(() => readSettings({ PORT: "9000", RUNNER_PORT: "9000" }), /PORT and RUNNER_PORT are both 9000/);
  });
});

describe("ports", () => {
  it("that are free are claimed, 0 being any, all different", async () => {
    const ports = await claimPorts([
      ["PORT", 0],
      ["RUNNER_PORT", 0],
    ]);
    assert.equal(new Set(ports).size, 2);
    assert.ok(ports.every((port) => port > 0));
  });

  it("that are busy are named with the variable that changes them", async () => {
    const server = createServer();
    await new Promise((resolve) => server.listen({ host: HOST, port: 0 }, resolve));
    const { port } = server.address();
    try {
      await assert.rejects(
        claimPorts([["RUNNER_PORT", port]]),
        new RegExp(`^Stop: Port ${port} is in use.*RUNNER_PORT=`),
      );
    } finally {
      server.close();
    }
  });
});
