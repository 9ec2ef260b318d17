import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startChild } from "../../scripts/lib/child.mjs";
import { lockState, owner } from "../../scripts/lib/state.mjs";

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "vignette-children-"));
});
after(() => rm(folder, { recursive: true }));

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const gone = async (pid) => {
  while (alive(pid)) await delay(20);
};
// A leader that ignores nothing, with a grandchild that ignores SIGTERM and is told on stdout.
const FAMILY = "(trap '' TERM; exec sleep 600) & echo $!; wait";

describe("a child process", { timeout: 30_000 }, () => {
  it("is stopped with everything it started", async () => {
    const child = startChild("/bin/sh", ["-c", FAMILY], { cwd: folder, env: process.env, log: join(folder, "a.log") });
    const [line] = await once(child.process.stdout, "data");
    await child.stop();
    await gone(Number(line));
  });

  it("goes with its launcher even when that is killed outright", async () => {
    const module = fileURLToPath(new URL("../../scripts/lib/child.mjs", import.meta.url));
    const script = `
      const { startChild } = await import(${JSON.stringify(module)});
      const child = startChild("/bin/sh", ["-c", ${JSON.stringify(FAMILY)}], { cwd: "/", env: process.env, log: ${JSON.stringify(join(folder, "b.log"))} });
      child.process.stdout.on("data", (line) => console.log(child.pid, Number(line)));`;
    const launcher = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(launcher.stdout, "data");
    const pids = String(line).trim().split(" ").map(Number);
    assert.ok(pids.every(alive));
    launcher.kill("SIGKILL");
    for (const pid of pids) await gone(pid);
  });

  it("that cannot be started says so", async () => {
    const child = startChild(join(folder, "absent"), [], { cwd: folder, env: process.env, log: join(folder, "c.log") });
    const { code, tail } = await child.exited;
    assert.equal(code, 127);
    assert.match(tail.join(), /ENOENT/);
  });
});

describe("the state folder", () => {
  it("belongs to one launcher at a time", async () => {
    const state = await mkdtemp(join(folder, "state-"));
    const unlock = await lockState(state);
    await assert.rejects(lockState(state), /Vignette already runs here.*VIGNETTE_STATE/);
    await unlock();
    await (await lockState(state))();
  });

  it("left by a launcher that was killed is taken over", async () => {
    const state = await mkdtemp(join(folder, "state-"));
    const dead = spawn("/bin/true");
    await once(dead, "exit");
    await writeFile(join(state, "lock"), `${dead.pid} 12345`);
    assert.equal(await owner(state), undefined);
    await writeFile(join(state, "lock"), `${process.pid} 12345`); // the pid lives, but as another program
    assert.equal(await owner(state), undefined);
    await (await lockState(state))();
  });
});
