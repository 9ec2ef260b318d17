import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { buildWeb, writeWeb } from "../../scripts/lib/web.mjs";

test("the page can be built by several at once, and leaves nothing behind that it does not have", async (t) => {
  const parent = await mkdtemp(join(tmpdir(), "vignette-web-"));
  t.after(() => rm(parent, { recursive: true, force: true }));
  const folder = join(parent, "web");
  await mkdir(join(folder, "assets"), { recursive: true });
  await writeFile(join(folder, "assets", "app-OLD.js"), "old");

  await Promise.all(Array.from({ length: 4 }, () => writeWeb(folder)));

  const wanted = await buildWeb();
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = found.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  assert.deepEqual(names.sort(), [...wanted.keys()].map((path) => join(folder, path)).sort());
  for (const [path, contents] of wanted)
    assert.ok(Buffer.from(contents).equals(await readFile(join(folder, path))), `${path} is another`);
  assert.deepEqual(await readdir(parent), ["web"]);
});
