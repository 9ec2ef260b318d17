// `npm run screenshots`: the playground's main states as pictures in docs/images, drawn by a Vignette of their own.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHROMIUM_FLAGS, findChromium, missingChromium } from "./chromium.mjs";
import { startInstance } from "./instance.mjs";
import { interruption } from "./interruption.mjs";
import { ensurePackages } from "./packages.mjs";
import { ROOT } from "./paths.mjs";
import { step } from "./progress.mjs";
import { ensureVenv } from "./python.mjs";
import { readSettings } from "./settings.mjs";
import { Stop } from "./stop.mjs";

const DESK = { width: 1200, height: 980 };
const PHONE = { width: 390, height: 844 };
const FIRST = { prompt: "three little purple cats have fallen asleep on the beach", seed: 3 };
/** What hangs in the gallery. */
const WALL = [
  "two blue birds are flying over the snow",
  "at night a single red fox jumps for joy",
  "a green frog, sound asleep in the desert",
  "four pink tulips on the grass",
  "my grandmother told me how a yellow dog slept on the floor of her room",
  "one orange umbrella at the seaside",
  "a blue elephant under the stars",
];

export async function screenshots() {
  const missing = missingChromium();
  if (missing) throw new Stop(missing, 2);
  await ensurePackages();
  await ensureVenv();
  const { chromium } = await import("playwright-core");
  const state = await mkdtemp(join(tmpdir(), "vignette-screenshots-"));
  const settings = { ...readSettings(process.env), port: 0, runnerPort: 0, state };
  const instance = await startInstance(settings, { signal: interruption });
  let browser;
  try {
    browser = await chromium.launch({ executablePath: findChromium(), args: CHROMIUM_FLAGS });
    await step("Drawing and looking", () => take(browser, instance.url));
  } finally {
    await browser?.close();
    await instance.stop();
    await rm(state, { recursive: true, force: true });
  }
  return 0;
}

async function take(browser, url) {
  const open = async (path, options = {}) => {
    const context = await browser.newContext({ viewport: DESK, colorScheme: "light", ...options });
    const page = await context.newPage();
    await page.goto(new URL(path, url).href);
    return page;
  };
  const shoot = async (page, name) => {
    await page.evaluate(() => document.fonts.ready);
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: join(ROOT, "docs", "images", `playground-${name}.png`), animations: "disabled" });
    await page.context().close();
  };
  const draw = async (page, { prompt, seed }) => {
    await page.locator("textarea").first().fill(prompt);
    if (seed !== undefined) {
      await page.getByText("Settings", { exact: true }).click();
      await page.getByLabel("Seed").fill(String(seed));
      await page.getByText("Settings", { exact: true }).click();
    }
    await page.getByRole("button", { name: "Imagine", exact: true }).click();
  };
  const hung = (page) => page.locator("figure.mat img").first().waitFor();

  const first = await open("/");
  await draw(first, FIRST);
  await first.locator(".so-far img").waitFor();
  await first.evaluate(() => scrollTo(0, 0));
  await first.screenshot({ path: join(ROOT, "docs", "images", "playground-drawing.png") });
  await hung(first);
  const drawn = new URL(first.url()).pathname;
  await shoot(first, "imagine");

  for (const prompt of WALL) {
    const page = await open("/");
    await draw(page, { prompt });
    await hung(page);
    await page.context().close();
  }
  const compare = await open("/compare");
  await compare.locator("textarea").first().fill(FIRST.prompt);
  await compare.getByRole("button", { name: "Compare", exact: true }).click();
  await compare.getByRole("slider").first().waitFor();
  await shoot(compare, "compare");

  const gallery = await open("/gallery", { colorScheme: "dark" });
  await gallery.locator(".tile").nth(WALL.length).waitFor();
  await gallery.waitForFunction(() =>
    [...document.querySelectorAll(".tile img")].every((image) => image.complete && image.naturalWidth > 0),
  );
  await shoot(gallery, "gallery");
  const console_ = await open("/console");
  await console_.locator(".entries li").first().waitFor();
  await shoot(console_, "console");
  const study = await open("/study");
  await study.getByRole("heading", { name: "What has been measured" }).waitFor();
  await shoot(study, "study");
  const phone = await open(drawn, { viewport: PHONE, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
  await hung(phone);
  await shoot(phone, "phone");
}
