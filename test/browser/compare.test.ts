import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { accessible, picture, World } from "./world.ts";

const SENTENCE = "three purple cats fell asleep on the beach";

describe("Compare", { timeout: 300_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create();
  });
  after(() => world.close());
  afterEach(() => world.reset());

  /** Does something on the page and answers the predictions that come of it, in the order of their requests' names. */
  async function asks(count: number, act: () => Promise<void>): Promise<string[]> {
    const known = [...world.runner.predictions.keys()];
    await act();
    const fresh: string[] = [];
    while (fresh.length < count) fresh.push(await world.arrival([...known, ...fresh]));
    return fresh;
  }
  async function finish(ids: string[]): Promise<void> {
    for (const [index, id] of ids.entries()) {
      await world.runner.start(id);
      await world.runner.succeed(id, [picture(index)]);
    }
  }
  const inputs = (ids: string[]) => ids.map((id) => world.runner.get(id).input);
  const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

  it("draws one seed without and with the adapter, under a slider for mouse and keys, also after a reload", async () => {
    const { page, complaints } = await world.visit("/compare");
    await accessible(page);
    await page.locator("textarea").first().fill(SENTENCE);
    await page.getByLabel("Seed").fill("7");
    const ids = await asks(2, () => press(page, "Compare"));
    assert.deepEqual(
      inputs(ids)
        .map(({ prompt, seed, adapter }) => ({ prompt, seed, adapter }))
        .sort((a, b) => String(a.adapter).localeCompare(String(b.adapter))),
      [
        { prompt: SENTENCE, seed: 7, adapter: null },
        { prompt: SENTENCE, seed: 7, adapter: "sur" },
      ],
    );
    await page.getByRole("progressbar").waitFor();
    await accessible(page);
    await finish(ids);
    const slider = page.getByRole("slider");
    await slider.waitFor();
    await slider.focus();
    for (let presses = 0; presses < 3; presses++) await page.keyboard.press("ArrowLeft");
    assert.equal(await slider.getAttribute("aria-valuetext"), "47 % Without the adapter, 53 % With the adapter");
    const frame = await slider.boundingBox();
    assert.ok(frame);
    await page.mouse.click(frame.x + frame.width * 0.25, frame.y + frame.height / 2);
    assert.match((await slider.getAttribute("aria-valuetext")) ?? "", /^2\d % Without/);
    assert.equal(await page.locator(".versus img").count(), 2);
    await accessible(page);

    await page.reload();
    await slider.waitFor();
    assert.equal(await page.locator("textarea").first().inputValue(), SENTENCE);
    assert.equal(await page.getByLabel("Seed").inputValue(), "7");
    await page.goBack();
    await page.getByText("Without", { exact: true }).waitFor();
    assert.deepEqual(complaints, []);
  });

  it("sweeps the adapter's strength, and draws the keyword prompt that the reading suggests", async () => {
    const { page } = await world.visit("/compare");
    await page.locator("textarea").first().fill(SENTENCE);
    await page.getByText("Keyword prompt", { exact: true }).click();
    await press(page, "Compare");
    await page.getByRole("alert").getByText("Write the keyword prompt, or compare without it first").waitFor();
    await page.getByText("Keyword prompt", { exact: true }).click();
    const first = await asks(2, () => press(page, "Compare"));
    await finish(first);
    await page.getByRole("slider").waitFor();

    await page.getByText("Keyword prompt", { exact: true }).click();
    await press(page, "Every strength");
    await page.getByText("Keyword prompt", { exact: true }).click();
    const [{ seed } = {}] = inputs(first);
    // Two of the nine have been drawn: the cache answers them.
    const ids = await asks(7, () => press(page, "Compare"));
    await finish(ids);
    assert.deepEqual(
      inputs(ids)
        .map(({ adapter, adapter_scale, prompt, seed: same }) => [adapter === null ? prompt : adapter_scale, same])
        .sort((a, b) => String(a[0]).localeCompare(String(b[0]))),
      [0.25, 0.5, 0.75, 1.25, 1.5, 2, "purple cat"].map((what) => [what, seed]),
    );
    const right = page.getByRole("group", { name: "On the right" }).getByRole("button");
    await page.getByRole("slider").waitFor();
    assert.equal(await right.count(), 9);
    await right.getByText("Adapter × 0.5", { exact: true }).click();
    await page.getByLabel("On the left").selectOption("Keyword prompt");
    await page.getByRole("slider", { name: "How much of “Keyword prompt” covers “Adapter × 0.5”" }).waitFor();
    await accessible(page);
  });

  it("draws all again with more weight on a tag, with the same seed", async () => {
    const { page } = await world.visit("/compare");
    await page.locator("textarea").first().fill("a cat to weigh");
    const first = await asks(2, () => press(page, "Compare"));
    await finish(first);
    const second = await asks(2, () => page.locator(".reading").getByRole("button").first().click());
    for (const { prompt, seed } of inputs(second))
      assert.deepEqual({ prompt, seed }, { prompt: "a cat to weigh, (purple cat:1.4)", seed: inputs(first)[0]?.seed });
    await finish(second);
  });

  it("cancels, and tells what went wrong with either", async () => {
    const { page } = await world.visit("/compare");
    await page.locator("textarea").first().fill("a cat that nobody waits for");
    await asks(2, () => press(page, "Compare"));
    await press(page, "Cancel");
    await page.getByRole("heading", { name: "Canceled" }).waitFor();
    await page.locator("textarea").first().fill("a cat that breaks");
    const [broken = "", other = ""] = await asks(2, () => press(page, "Compare"));
    await finish([other]);
    await world.runner.start(broken);
    await world.runner.fail(broken, "The device ran out of memory.");
    await page.locator("main").getByText("The device ran out of memory.").waitFor();
    await accessible(page);
  });

  it("has no accessibility fault in the dark and on a phone", async () => {
    const { page } = await world.visit("/compare", {
      colorScheme: "dark",
      viewport: { width: 360, height: 740 },
      isMobile: true,
      hasTouch: true,
    });
    await page.locator("textarea").first().fill("a small cat");
    await finish(await asks(2, () => press(page, "Compare")));
    await page.getByRole("slider").waitFor();
    await accessible(page);
    assert.equal(
      await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
      false,
      "nothing is cut off",
    );
  });
});
