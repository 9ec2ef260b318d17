import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser } from "playwright-core";
import { type Launch, Place } from "../e2e/launch.ts";
import { AXE, accessible, launch } from "./world.ts";

describe("a newcomer", { timeout: 600_000 }, () => {
  let place: Place;
  let started: Launch;
  let browser: Browser;
  before(async () => {
    place = await Place.create();
    [{ launch: started }, browser] = await Promise.all([place.start(), launch()]);
  });
  after(async () => {
    await browser?.close();
    await place.leave();
  });

  it("starts Vignette, opens the address it prints, writes a sentence, and sees the picture arrive step by step", async () => {
    const [, address] = /ready at (http:\/\/\S+)\n/.exec(started.stdout) ?? [];
    assert.ok(address, "an address is printed");
    const context = await browser.newContext();
    await context.addInitScript({ path: AXE });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    await page.goto(address);
    await page.locator("textarea").first().fill("two purple cats fell asleep on the beach");
    // A quick machine draws the usual steps between two callbacks, which come half a second apart at the soonest.
    await page.getByText("Settings", { exact: true }).click();
    await page.getByRole("button", { name: "More settings" }).click();
    await page.getByLabel("Steps").fill("100");
    const steps = page.evaluate(
      () =>
        new Promise<{ seen: number[]; previews: number }>((resolve) => {
          const seen: number[] = [];
          const previews = new Set<string>();
          new MutationObserver(() => {
            const [, step] = /Step (\d+) of/.exec(document.querySelector("main")?.textContent ?? "") ?? [];
            if (step && seen.at(-1) !== Number(step)) seen.push(Number(step));
            const preview = document.querySelector<HTMLImageElement>(".so-far img");
            if (preview) previews.add(preview.src);
            if (document.querySelector("figure.mat img")) resolve({ seen, previews: previews.size });
          }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
        }),
    );
    await page.getByRole("button", { name: "Imagine", exact: true }).click();
    const { seen, previews } = await steps;
    assert.ok(previews >= 2, `the picture was seen growing: ${previews} previews`);
    assert.ok(seen.length >= 2, `several steps were shown: ${seen}`);
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      seen,
    );
    const image = page.locator("figure.mat img").first();
    const width = await image.evaluate((element: HTMLImageElement) =>
      element.decode().then(() => element.naturalWidth),
    );
    assert.equal(width, 128);
    assert.match((await image.getAttribute("alt")) ?? "", /^Picture: two purple cats .*Understood as /);
    await accessible(page);

    await page.getByLabel("Model").selectOption("miniature-ink");
    await page.getByText("pen lines, washes and cut paper").waitFor();
    await page.getByLabel("Steps").fill("4");
    await page.getByRole("button", { name: "Imagine", exact: true }).click();
    await page.locator("figure.mat").getByText("miniature-ink").waitFor();
    await accessible(page);
    assert.deepEqual(complaints, []);
  });
});
