import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { VARIANTS } from "../fakes/study.ts";
import { accessible, ROOT, World } from "./world.ts";

describe("the study", { timeout: 120_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create();
  });
  after(() => world.close());

  it("shows every table of docs/study and the contact sheets, in light and dark", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const { page, complaints } = await world.visit("/study", { colorScheme });
      await page.getByRole("heading", { name: "Known words", exact: true }).waitFor();
      await page
        .getByRole("img", { name: /Known words: right, by attribute\. base\/narrative: object \d+ %/ })
        .waitFor();
      await page.getByText("As tables").first().click();
      await page.getByRole("table").first().waitFor();
      const sheet = page.locator("img.sheet-picture").first();
      await sheet.scrollIntoViewIfNeeded();
      assert.ok(
        (await sheet.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth))) > 500,
      );
      await accessible(page);
      assert.deepEqual(complaints, []);
    }
  });
});

describe("the study of variants", { timeout: 120_000 }, () => {
  let world: World;
  let docs: string;
  before(async () => {
    docs = await mkdtemp(join(tmpdir(), "vignette-study-"));
    await mkdir(join(docs, "study"));
    await mkdir(join(docs, "images"));
    await writeFile(join(docs, "study", "variants.json"), JSON.stringify(VARIANTS));
    await copyFile(join(ROOT, "docs", "images", "study.png"), join(docs, "images", "variants-failures.png"));
    await writeFile(join(docs, "study.md"), "![Rows: base, adapter, keyword](images/variants-failures.png)");
    world = await World.create({ docs });
  });
  after(async () => {
    await world.close();
    await rm(docs, { recursive: true });
  });

  it("shows ways, sweeps and failures, in light and dark, on a desk and in a hand", async () => {
    for (const options of [
      { colorScheme: "light" },
      { colorScheme: "dark", viewport: { width: 390, height: 800 } },
    ] as const) {
      const { page, complaints } = await world.visit("/study", options);
      await page.getByRole("heading", { name: "Variants", exact: true }).waitFor();
      await page.getByRole("img", { name: /^Variants: right.*base\/keyword 90 %, 85 % to 95 %\. adapter/ }).waitFor();
      await page.getByRole("img", { name: /scale 0: 50 %.*scale 0\.5: 60 %.*scale 1: 70 %/ }).waitFor();
      await page.getByRole("img", { name: /triples 40: 55 %.*triples 400: 70 %/ }).waitFor();
      const row = page.getByRole("row", { name: /^adapter\/no-LLM/ });
      assert.match((await row.textContent()) ?? "", /\+10\.0 to \+30\.0.*0\.300.*50 % \(95 %/);
      await page.getByText("is ahead of LLM-rewriting/narrative").waitFor();
      assert.equal(await page.getByRole("img", { name: "Rows: base, adapter, keyword" }).count(), 1);
      await page.getByText("Was the house not blue?").waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} pixels too wide`);
      await accessible(page);
      assert.deepEqual(complaints, []);
    }
  });
});
