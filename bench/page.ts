import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { picture, World } from "../test/browser/world.ts";
import { median, round } from "./statistics.ts";

const VISITS = 7;
const IMAGES = 500;
/** Pixels that a frame scrolls by: a brisk flick of a finger. */
const STRIDE = 30;

/** The page in a real Chromium, against a real edge and a runner that a script moves. */
export interface PageFigures {
  visits: number;
  /** Milliseconds from the navigation, medians of visits with an empty cache. */
  first_contentful_paint_ms: number;
  /** Until the prompt box is there and the main thread has nothing long to do. */
  interactive_ms: number;
  /** Sum of all layout shifts from the page's opening until one picture has been drawn with previews and arrived. */
  layout_shift: number;
  /** All scripts that the page fetches, gzipped, in bytes. */
  scripts_bytes: number;
  gallery: { images: number; frames: number; frames_per_second: number; worst_frame_ms: number };
}

export async function measurePage(): Promise<PageFigures> {
  const world = await World.create();
  try {
    await world.visit();
    const visits = [];
    for (let n = 0; n < VISITS; n++) visits.push(await visit(world));
    const layout_shift = await drawOne(world);
    await world.reset();
    const gallery = await scroll(world);
    return {
      visits: VISITS,
      first_contentful_paint_ms: round(median(visits.map(({ paint }) => paint)), 0),
      interactive_ms: round(median(visits.map(({ interactive }) => interactive)), 0),
      layout_shift,
      scripts_bytes: visits[0]?.scripts ?? 0,
      gallery,
    };
  } finally {
    await world.close();
  }
}

interface Seen {
  box: number;
  busyUntil: number;
  shift: number;
}

/** Notes in the page, from its first moment on, when the prompt box came, long tasks and layout shifts. */
async function watch(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const seen: Seen = { box: 0, busyUntil: 0, shift: 0 };
    Object.assign(globalThis, { seen });
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) seen.busyUntil = startTime + duration;
    }).observe({ type: "longtask", buffered: true });
    new PerformanceObserver((list) => {
      // Not what follows a person's own press within half a second, as the standard has it.
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[])
        if (!entry.hadRecentInput) seen.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
    new MutationObserver((_, observer) => {
      if (!document.querySelector("textarea")) return;
      seen.box = performance.now();
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
  });
}

const seen = (page: Page) => page.evaluate(() => (globalThis as unknown as { seen: Seen }).seen);

/** One visit with an empty cache, until nothing happens any more. */
async function visit(world: World): Promise<{ paint: number; interactive: number; scripts: number }> {
  const fresh = await world.browser.newContext();
  const first = await fresh.newPage();
  await watch(first);
  await first.goto(world.url, { waitUntil: "networkidle" });
  const { paint, addresses } = await first.evaluate(() => ({
    paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN,
    addresses: performance
      .getEntriesByType("resource")
      .map(({ name }) => name)
      .filter((name) => name.endsWith(".js")),
  }));
  const { box, busyUntil } = await seen(first);
  const scripts = await Promise.all(
    addresses.map(async (address) => gzipSync(new Uint8Array(await (await fetch(address)).arrayBuffer())).length),
  );
  await fresh.close();
  return { paint, interactive: Math.max(box, busyUntil), scripts: scripts.reduce((sum, size) => sum + size, 0) };
}

/** Draws one picture with a preview and answers how much the page moved from its opening on. */
async function drawOne(world: World): Promise<number> {
  const { page } = await world.visit("/nowhere");
  await watch(page);
  await page.goto(world.url);
  const known = [...world.runner.predictions.keys()];
  await page.locator("textarea").first().fill("two purple cats fell asleep on the beach");
  await page.getByRole("button", { name: "Imagine", exact: true }).click();
  const id = await world.arrival(known);
  await world.runner.start(id);
  await world.runner.progress(id, 5, 25);
  await world.runner.preview(id, 0, picture(1));
  await page.getByRole("img", { name: /^So far/ }).waitFor();
  await world.runner.succeed(id, [picture(0)]);
  const image = page.locator("figure.mat img").first();
  await image.waitFor();
  await image.evaluate((element: HTMLImageElement) => element.decode());
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  return round((await seen(page)).shift, 4);
}

/** Scrolls the gallery from its top to its end, a stride each frame. */
async function scroll(world: World): Promise<PageFigures["gallery"]> {
  await world.fill(IMAGES, picture(3));
  const { page } = await world.visit("/gallery");
  await page.locator(".tile").first().waitFor();
  const intervals = await page.evaluate(
    ({ stride, images }) =>
      new Promise<number[]>((resolve) => {
        const intervals: number[] = [];
        let last = performance.now();
        const frame = (now: number) => {
          intervals.push(now - last);
          last = now;
          const at = scrollY;
          scrollBy(0, stride);
          const bottom = scrollY === at && document.querySelectorAll(".tile").length >= images;
          if (bottom) resolve(intervals.slice(1));
          else requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
      }),
    { stride: STRIDE, images: IMAGES },
  );
  const total = intervals.reduce((sum, each) => sum + each, 0);
  return {
    images: IMAGES,
    frames: intervals.length,
    frames_per_second: round((1000 * intervals.length) / total, 1),
    worst_frame_ms: round(Math.max(...intervals), 1),
  };
}

export const pageTable = ({
  visits,
  first_contentful_paint_ms,
  interactive_ms,
  layout_shift,
  scripts_bytes,
  gallery,
}: PageFigures) => `| the page at \`/\` (median of ${visits} visits) | |
|---|---|
| first contentful paint | ${first_contentful_paint_ms} ms |
| interactive | ${interactive_ms} ms |
| layout shift while a picture is drawn and arrives | ${layout_shift} |
| scripts, gzipped | ${round(scripts_bytes / 1000, 1)} kB |
| scrolling through ${gallery.images} pictures: frames a second, slowest frame | ${gallery.frames_per_second}, ${gallery.worst_frame_ms} ms |`;
