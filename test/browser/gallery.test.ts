import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import type { Generation, GenerationList } from "../../src/contract/index.ts";
import { accessible, picture, World } from "./world.ts";

/** Two pages of the gallery and a bit. */
const MANY = 130;

describe("the gallery", { timeout: 300_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create();
    await draw({ prompt: "the first of all", num_images: 2 }, [picture(0), picture(1)]);
    await world.fill(MANY, picture(3));
    await draw({ prompt: "two foxes in the snow", seed: 7, negative_prompt: "rain", user: "ada" });
  });
  after(() => world.close());
  afterEach(() => world.reset());

  async function draw(request: Record<string, unknown>, images = [picture(2)]): Promise<Generation> {
    const { id } = await world.api<Generation>("POST", "/v1/generations", request);
    await world.arrival([...world.runner.predictions.keys()].filter((each) => each !== id));
    await world.runner.start(id);
    await world.runner.succeed(id, images);
    return world.api<Generation>("GET", `/v1/generations/${id}`);
  }
  const tiles = (page: Page) => page.locator(".tile");

  it("shows what was drawn, newest first, and fetches more as one scrolls", async () => {
    const { page, complaints } = await world.visit("/gallery");
    await tiles(page).first().getByText("two foxes in the snow").waitFor();
    assert.ok((await tiles(page).count()) < MANY);
    await accessible(page);
    for (let before = 0; (await tiles(page).count()) < MANY + 2; ) {
      const now = await tiles(page).count();
      if (now !== before) await tiles(page).last().scrollIntoViewIfNeeded();
      before = now;
      await page.waitForTimeout(20);
    }
    await tiles(page).last().getByText("the first of all").waitFor();
    await page.getByRole("button", { name: "More" }).waitFor({ state: "detached" });
    const links = await page.locator(".tile a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    assert.equal(new Set(links).size, MANY + 2, "none twice, none left out");
    assert.deepEqual(complaints, []);
  });

  it("filters by state, by end user, by what is shared", async () => {
    const { page } = await world.visit("/gallery");
    await tiles(page).first().waitFor();
    await page.getByLabel("End user").fill("ada");
    await page.waitForFunction(() => document.querySelectorAll(".tile").length === 1);
    await page.getByLabel("End user").fill("");
    const { id } = await world.api<Generation>("POST", "/v1/generations", { prompt: "nobody waits" });
    await world.api("POST", `/v1/generations/${id}/cancel`);
    await page.getByLabel("Show").selectOption("canceled");
    await tiles(page).first().getByText("nobody waits").waitFor();
    assert.equal(await tiles(page).count(), 1);
    await page.getByLabel("Show").selectOption("");
    await page.getByLabel("Shared only").check();
    await page.getByText("Nothing that the filters let through.").waitFor();
    await accessible(page);
  });

  it("tells the whole recipe, goes on with the arrow keys, and comes back to where it was", async () => {
    const { page } = await world.visit("/gallery");
    await tiles(page).first().getByRole("link").focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("heading", { name: "two foxes in the snow" }).waitFor();
    for (const told of ["7", "rain", "ada", "DDIMScheduler", "128 × 128"])
      await dialog.locator("dd").getByText(told, { exact: true }).first().waitFor();
    await accessible(page);
    await page.keyboard.press("ArrowRight");
    await dialog.getByRole("heading", { name: "filler" }).waitFor();
    await page.keyboard.press("ArrowLeft");
    await dialog.getByRole("heading", { name: "two foxes in the snow" }).waitFor();
    await page.reload();
    await dialog.getByRole("heading", { name: "two foxes in the snow" }).waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal(new URL(page.url()).pathname, "/gallery");

    await tiles(page).nth(3).getByRole("link").click();
    await dialog.waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await dialog.waitFor({ state: "detached" });
    const link = await tiles(page).nth(3).getByRole("link").getAttribute("href");
    // The focus goes back a moment after the dialog is gone.
    await page.waitForFunction((wanted) => document.activeElement?.getAttribute("href") === wanted, link);
  });

  it("shares a picture when it is asked to, and takes it back", async () => {
    const { id } = await draw({ prompt: "a cat for everybody" });
    const { page } = await world.visit(`/gallery/${id}`);
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Share" }).click();
    await accessible(page);
    await dialog.getByRole("button", { name: "Make the page" }).click();
    const address = await dialog.locator(".panel a").getAttribute("href");
    assert.match(address ?? "", /\/s\/[0-9a-f]{32}$/);
    await accessible(page);

    // Anybody, without a key, without scripts.
    const { page: guest, complaints } = await world.visit(address ?? "", { javaScriptEnabled: false });
    await guest.locator("figure").getByText("a cat for everybody").waitFor();
    assert.equal(await guest.locator('meta[property="og:title"]').getAttribute("content"), "a cat for everybody");
    const image = (await guest.locator('meta[property="og:image"]').getAttribute("content")) ?? "";
    assert.equal((await fetch(image)).headers.get("Content-Type"), "image/png");
    assert.deepEqual(complaints, []);
    const { page: seen } = await world.visit(address ?? "");
    await accessible(seen);

    await dialog.getByRole("button", { name: "Stop sharing" }).click();
    await dialog.getByRole("button", { name: "Share", exact: true }).waitFor();
    assert.equal((await fetch(address ?? "")).status, 404);
    assert.equal((await fetch(image)).status, 404);
  });

  it("deletes after it has asked, with the pictures", async () => {
    const { id, images } = await draw({ prompt: "soon gone" });
    const { page } = await world.visit("/gallery");
    await page.getByText("soon gone").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Delete" }).click();
    await dialog.getByText("For good, with its pictures?").waitFor();
    await accessible(page);
    await dialog.getByRole("button", { name: "Keep" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByText("soon gone").waitFor({ state: "detached" });
    assert.equal((await fetch(images[0]?.url ?? "")).status, 404);
    const { data } = await world.api<GenerationList>("GET", "/v1/generations?limit=5");
    assert.equal(
      data.some((each) => each.id === id),
      false,
    );
  });

  it("takes up what another tab has drawn or deleted", async () => {
    const { page } = await world.visit("/gallery");
    await tiles(page).first().waitFor();
    const { id } = await draw({ prompt: "drawn elsewhere" });
    const look = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await look();
    await tiles(page).first().getByText("drawn elsewhere").waitFor();
    await world.api("DELETE", `/v1/generations/${id}`);
    await look();
    await page.getByText("drawn elsewhere").waitFor({ state: "detached" });
  });

  it("moves nothing when its pictures arrive, and has no fault on a phone in the dark", async () => {
    const { page } = await world.visit("/nowhere", {
      colorScheme: "dark",
      viewport: { width: 360, height: 740 },
      isMobile: true,
      hasTouch: true,
    });
    await page.addInitScript(() => {
      const shifts: string[] = [];
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & {
          value: number;
          sources: { node?: Node; previousRect: DOMRect; currentRect: DOMRect }[];
        })[])
          shifts.push(
            `${entry.value}: ${entry.sources.map(({ node, previousRect: a, currentRect: b }) => `${(node as Element)?.outerHTML?.slice(0, 80)} ${a.x},${a.y},${a.width},${a.height} -> ${b.x},${b.y},${b.width},${b.height}`)}`,
          );
      }).observe({ type: "layout-shift", buffered: true });
    });
    await page.goto(new URL("/gallery", world.url).href);
    await page.waitForFunction(() =>
      [...document.querySelectorAll("img")].slice(0, 4).every((image) => image.complete && image.naturalWidth > 0),
    );
    assert.deepEqual(await page.evaluate(() => (globalThis as unknown as { shifts: string[] }).shifts), []);
    await accessible(page);
    assert.equal(
      await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
      false,
      "nothing is cut off",
    );
  });
});
