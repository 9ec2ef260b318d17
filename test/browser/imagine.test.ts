import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Locator, Page } from "playwright-core";
import type { Generation, GenerationList } from "../../src/contract/index.ts";
import { accessible, picture, World } from "./world.ts";

const SENTENCE = "two purple cats fell asleep on the beach";

const prompt = (page: Page): Locator => page.locator("textarea").first();
const button = (page: Page, name: string): Locator => page.getByRole("button", { name, exact: true });
const drawn = (page: Page): Locator => page.locator("figure.mat img").first();

describe("Imagine", { timeout: 300_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create();
  });
  after(() => world.close());
  afterEach(() => world.reset());

  /** Asks for a picture on the page and answers the prediction's id. */
  async function ask(page: Page, sentence = SENTENCE): Promise<string> {
    const known = [...world.runner.predictions.keys()];
    await prompt(page).fill(sentence);
    await button(page, "Imagine").click();
    return world.arrival(known);
  }
  /** Lets a generation be drawn and waits until the page shows it. */
  async function finish(page: Page, id: string, images = [picture(0)]): Promise<void> {
    await world.runner.start(id);
    await world.runner.succeed(id, images);
    await page.waitForURL(`**/g/${id}`);
    await drawn(page).waitFor();
  }
  const input = (id: string) => world.runner.get(id).input;

  it("draws a sentence step by step, without a key in any address", async () => {
    const { page, complaints } = await world.visit();
    const addresses: string[] = [];
    page.on("request", (request) => addresses.push(request.url()));
    page.on("framenavigated", (frame) => addresses.push(frame.url()));
    await accessible(page);

    const id = await ask(page);
    assert.equal(input(id).prompt, SENTENCE);
    await page.getByText("Waiting for its turn…").waitFor();
    await world.runner.start(id);
    await world.runner.progress(id, 5, 25);
    await page.getByText(/^Step 5 of 25/).waitFor();
    assert.equal(await page.getByRole("progressbar").getAttribute("value"), "0.2");
    assert.equal(input(id).preview_every, 3);
    await world.runner.preview(id, 0, picture(1));
    const soFar = page.getByRole("img", { name: "So far, step 5" });
    await soFar.waitFor();
    assert.equal(await soFar.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth)), 128);
    await accessible(page);
    await world.runner.progress(id, 20, 25);
    await page.getByText(/^Step 20 of 25/).waitFor();
    await world.runner.succeed(id, [picture(0)]);

    await drawn(page).waitFor();
    assert.equal(await drawn(page).getAttribute("alt"), `Picture: ${SENTENCE}. Understood as purple cat`);
    assert.equal(
      await drawn(page).evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth)),
      128,
    );
    await page.getByText("The runner has something to say.").waitFor();
    await accessible(page);
    assert.equal(new URL(page.url()).pathname, `/g/${id}`);
    assert.equal(await page.evaluate(() => sessionStorage.getItem("vignette.key")), world.key);
    assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
    assert.deepEqual(
      addresses.filter((address) => address.includes("vgt_")),
      [],
    );
    assert.deepEqual(complaints, []);
  });

  it("goes on where it was when it is reloaded in the middle", async () => {
    const { page } = await world.visit();
    const id = await ask(page);
    await world.runner.start(id);
    await world.runner.progress(id, 10, 25);
    await page.getByText(/^Step 10 of 25/).waitFor();
    await page.reload();
    await page.getByText(/^Step 10 of 25/).waitFor();
    assert.equal(await prompt(page).inputValue(), SENTENCE);
    await world.runner.progress(id, 15, 25);
    await page.getByText(/^Step 15 of 25/).waitFor();
    await world.runner.succeed(id, [picture(0)]);
    await drawn(page).waitFor();
  });

  it("cancels while it waits and while it is drawn", async () => {
    const { page } = await world.visit();
    for (const begun of [false, true]) {
      const id = await ask(page);
      if (begun) await world.runner.start(id);
      await page.getByText("Waiting for its turn…").waitFor();
      await button(page, "Cancel").click();
      await page.getByRole("heading", { name: "Canceled" }).waitFor();
      assert.equal((await world.api<Generation>("GET", `/v1/generations/${id}`)).status, "canceled");
      await accessible(page);
    }
  });

  it("shows each picture again on the way back", async () => {
    const { page } = await world.visit();
    const first = await ask(page, "a red fox");
    await finish(page, first);
    const second = await ask(page, "a blue bird");
    await finish(page, second, [picture(1)]);
    await page.goBack();
    await page.getByRole("figure").getByText("a red fox").waitFor();
    assert.equal(await prompt(page).inputValue(), "a red fox");
    await page.goForward();
    await page.getByRole("figure").getByText("a blue bird").waitFor();
    await page.goBack();
    await page.goBack();
    await page.getByText("Your picture will hang here.").waitFor();
  });

  it("sends what the settings say, and marks the one that the model refuses", async () => {
    const { page } = await world.visit();
    await page.getByText("Settings", { exact: true }).click();
    await page.getByRole("checkbox", { name: "Adapter" }).uncheck();
    await page.getByText("16:9").click();
    await page.getByRole("group", { name: "Pictures" }).getByText("3").click();
    await page.getByLabel("Seed").fill("41");
    await page.getByLabel("Avoid").fill("rain");
    await button(page, "More settings").click();
    await page.getByLabel("Scheduler").selectOption("EulerDiscreteScheduler");
    await accessible(page);
    const id = await ask(page);
    const { adapter, width, height, num_images, seed, negative_prompt, scheduler } = input(id);
    assert.deepEqual(
      { adapter, width, height, num_images, seed, negative_prompt, scheduler },
      {
        adapter: null,
        width: 168,
        height: 96,
        num_images: 3,
        seed: 41,
        negative_prompt: "rain",
        scheduler: "EulerDiscreteScheduler",
      },
    );
    await finish(page, id, [picture(0), picture(1), picture(2)]);
    assert.equal(await page.locator("figure.mat img").count(), 3);
    await accessible(page);

    await page.getByLabel("Steps").fill("500");
    await button(page, "Imagine").click();
    await page.getByRole("alert").getByText("100").waitFor();
    await accessible(page);
  });

  it("takes a picture further: again, varied, another word, more weight", async () => {
    const { page } = await world.visit();
    const first = await ask(page);
    await finish(page, first);
    const step = async (act: () => Promise<void>) => {
      const known = [...world.runner.predictions.keys()];
      await act();
      const id = await world.arrival(known);
      await finish(page, id, [picture(known.length)]);
      return input(id);
    };
    const { seed, guidance_scale } = input(first);
    const again = await step(() => button(page, "Again").click());
    assert.equal(again.prompt, SENTENCE);
    assert.notEqual(again.seed, seed);

    const varied = await step(() => button(page, "Vary").click());
    assert.equal(varied.seed, again.seed);
    assert.notEqual(varied.guidance_scale, guidance_scale);

    const other = await step(async () => {
      await button(page, "What if…").click();
      await button(page, "cats").click();
      await page.getByLabel("Instead of “cats”").fill("dogs");
      await accessible(page);
      await page.keyboard.press("Enter");
    });
    assert.equal(other.prompt, SENTENCE.replace("cats", "dogs"));
    assert.equal(other.seed, varied.seed);

    await button(page, "Before and after").click();
    const slider = page.getByRole("slider", { name: /before/ });
    await slider.focus();
    await page.keyboard.press("ArrowRight");
    assert.equal(await slider.getAttribute("aria-valuetext"), "51 % before, 49 % what if");
    await accessible(page);

    const weighed = await step(() => page.locator(".reading").getByRole("button").click());
    assert.equal(weighed.prompt, `${other.prompt}, (purple cat:1.4)`);
    assert.equal(weighed.seed, other.seed);
  });

  it("copies a link, a command line and a program, none with the key, and downloads", async () => {
    const { page } = await world.visit("/", {
      permissions: ["clipboard-read", "clipboard-write"],
      acceptDownloads: true,
    });
    const id = await ask(page, "it's a cat");
    await finish(page, id);
    const { images, parameters } = await world.api<Generation>("GET", `/v1/generations/${id}`);
    const copied = async (name: string) => {
      await button(page, name).click();
      await page.getByText("Copied", { exact: true }).waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    assert.equal(await copied("Copy link"), images[0]?.url);
    const curl = await copied("Copy curl");
    assert.match(curl, /^curl http:\/\/127\.0\.0\.1:\d+\/v1\/generations/);
    assert.ok(curl.includes(`"prompt":"it'\\''s a cat"`) && curl.includes(`"seed":${parameters.seed}`));
    const code = await copied("Copy code");
    assert.ok(code.includes(`"prompt": "it's a cat"`));
    for (const text of [curl, code]) assert.equal(text.includes("vgt_"), false);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), `it-s-a-cat-${parameters.seed}.png`);
  });

  it("can be used with the keyboard alone", async () => {
    const { page } = await world.visit();
    await page.getByText("Settings", { exact: true }).waitFor();
    const known = [...world.runner.predictions.keys()];
    const focused = () =>
      page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.id);
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to the content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "prompt");
    await page.keyboard.type(SENTENCE);
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("at night");
    await page.keyboard.press("Enter");
    const id = await world.arrival(known);
    assert.equal(input(id).prompt, `${SENTENCE}\nat night`);
    await finish(page, id);
    // On to the first thing that can be done with the picture.
    for (let presses = 0; (await focused()) !== "Again"; presses++) {
      assert.ok(presses < 20, "Again is reached by Tab");
      await page.keyboard.press("Tab");
      const { outline } = await page.evaluate(() => ({
        outline: getComputedStyle(document.activeElement as Element).outlineStyle,
      }));
      assert.notEqual(outline, "none", `${await focused()} shows that it has the focus`);
    }
    await page.keyboard.press("Enter");
    await world.arrival([...known, id]);
  });

  it("is the same picture in two tabs", async () => {
    const { page } = await world.visit();
    const id = await ask(page);
    await world.runner.start(id);
    const other = await page.context().newPage();
    await other.goto(new URL(`/g/${id}`, world.url).href);
    await world.runner.progress(id, 7, 25);
    await Promise.all([page, other].map((tab) => tab.getByText(/^Step 7 of 25/).waitFor()));
    await button(other, "Cancel").click();
    await page.getByRole("heading", { name: "Canceled" }).waitFor();
  });

  it("surprises, and says what is missing", async () => {
    const { page } = await world.visit();
    await button(page, "Imagine").click();
    await page.getByRole("alert").getByText("the box is empty").waitFor();
    assert.equal(await prompt(page).evaluate((box) => box === document.activeElement), true);
    const known = [...world.runner.predictions.keys()];
    await button(page, "Surprise me").click();
    const id = await world.arrival(known);
    assert.equal(input(id).prompt, await prompt(page).inputValue());
    const { data } = await world.api<GenerationList>("GET", "/v1/generations?limit=1");
    assert.deepEqual(data[0]?.metadata, { app: "playground" });
  });

  for (const colorScheme of ["light", "dark"] as const)
    it(`has no accessibility fault on a phone, ${colorScheme}`, async () => {
      const { page } = await world.visit("/", {
        colorScheme,
        viewport: { width: 360, height: 740 },
        isMobile: true,
        hasTouch: true,
      });
      const id = await ask(page);
      await finish(page, id);
      await accessible(page);
      assert.equal(
        await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
        false,
        "nothing is cut off",
      );
    });
});
