import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import type { CreatedKey, GenerationList } from "../../src/contract/index.ts";
import { accessible, picture, World } from "./world.ts";

const drawn = (page: Page) => page.locator("figure.mat img").first().waitFor();
const imagine = async (page: Page, sentence: string) => {
  await page.locator("textarea").first().fill(sentence);
  await page.getByRole("button", { name: "Imagine", exact: true }).click();
};
/** Waits until the tab has this key. */
async function holds(page: Page, key: string): Promise<void> {
  while ((await page.evaluate(() => sessionStorage.getItem("vignette.key"))) !== key) await page.waitForTimeout(20);
}

describe("when something is wrong, the page", { timeout: 300_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create();
  });
  after(() => world.close());
  afterEach(() => world.reset());

  const known = () => [...world.runner.predictions.keys()];
  async function finish(id: string): Promise<void> {
    await world.runner.start(id);
    await world.runner.succeed(id, [picture(0)]);
  }
  /** A page under another key than the development's. */
  async function visitAs(key: string, path = "/") {
    const visitor = await world.visit("/study-nowhere");
    await visitor.page.evaluate((given) => sessionStorage.setItem("vignette.key", given), key);
    await visitor.page.goto(new URL(path, world.url).href);
    return visitor.page;
  }

  it("asks instead, when the stream is cut", async () => {
    const { page } = await world.visit();
    await page.context().route("**/events", (route) => route.abort());
    const before = known();
    await imagine(page, "a cat");
    const id = await world.arrival(before);
    await world.runner.start(id);
    await world.runner.progress(id, 9, 25);
    await page.getByText("The live connection is broken").waitFor();
    await page.getByText(/^Step 9 of 25/).waitFor();
    await world.runner.succeed(id, [picture(0)]);
    await drawn(page);
  });

  it("asks too, when the stream stays silent", async () => {
    const { page } = await world.visit();
    // A proxy that holds everything back.
    await page.context().route("**/events", () => {});
    const before = known();
    await imagine(page, "a dog");
    const id = await world.arrival(before);
    await finish(id);
    await drawn(page);
  });

  it("waits for an edge that is gone, then draws once", async () => {
    const { page } = await world.visit();
    await page.getByText("Settings", { exact: true }).waitFor();
    const up = await world.edgeDown();
    await imagine(page, "a patient frog");
    await page.getByText("The API does not answer.").waitFor();
    await page.getByText("The API cannot be reached. This goes on by itself.").waitFor();
    await accessible(page);
    const before = known();
    await up();
    const id = await world.arrival(before);
    await page.getByText("The API does not answer.").waitFor({ state: "detached" });
    await finish(id);
    await drawn(page);
    const { data } = await world.api<GenerationList>("GET", "/v1/generations");
    assert.equal(data.filter(({ prompt }) => prompt === "a patient frog").length, 1);
  });

  it("goes on when the edge is restarted in the middle", async () => {
    const { page } = await world.visit();
    const before = known();
    await imagine(page, "a fox in between");
    const id = await world.arrival(before);
    await world.runner.start(id);
    await world.runner.progress(id, 3, 25);
    await page.getByText(/^Step 3 of 25/).waitFor();
    const up = await world.edgeDown();
    await page.getByText("The API does not answer.").waitFor();
    await up();
    await world.runner.succeed(id, [picture(0)]);
    await drawn(page);
  });

  it("says that the device is offline, and goes on when it is not", async () => {
    const { page } = await world.visit();
    await page.context().setOffline(true);
    const before = known();
    await imagine(page, "a penguin");
    await page.getByText("You are offline.", { exact: true }).waitFor();
    await accessible(page);
    await page.context().setOffline(false);
    const id = await world.arrival(before);
    await finish(id);
    await drawn(page);
  });

  it("says that no runner answers, and draws when one is back", async () => {
    const { page } = await world.visit();
    world.runner.mood = "down";
    const before = known();
    await imagine(page, "a rabbit");
    await page.getByText("No runner answers. It waits in line").waitFor();
    await accessible(page);
    world.runner.mood = "well";
    const id = await world.arrival(before);
    await finish(id);
    await drawn(page);
  });

  it("tells the runner's refusal and the runner's failure, and tries again", async () => {
    const { page } = await world.visit();
    world.runner.refuse = "The prompt has 400 tokens; at most 300 fit.";
    await imagine(page, "too much");
    await page.getByText("The prompt has 400 tokens; at most 300 fit.", { exact: true }).waitFor();
    await accessible(page);
    world.runner.refuse = null;
    let before = known();
    await page.getByRole("button", { name: "Try again" }).click();
    const id = await world.arrival(before);
    await world.runner.start(id);
    await world.runner.fail(id, "The device ran out of memory.", "E1001");
    await page.getByText("The device ran out of memory.", { exact: true }).waitFor();
    before = known();
    await page.getByRole("button", { name: "Try again" }).click();
    await finish(await world.arrival(before));
    await drawn(page);
  });

  it("asks for another key when one is wrong or revoked", async () => {
    const { id, key } = await world.api<CreatedKey>("POST", "/v1/keys", {
      name: "soon gone",
      scopes: ["generate", "read"],
    });
    const page = await visitAs(key);
    await page.getByText("Settings", { exact: true }).waitFor();
    await world.api("DELETE", `/v1/keys/${id}`);
    // Under `npm start` the page can have another key, and takes it.
    const before = known();
    await imagine(page, "a turtle");
    await finish(await world.arrival(before));
    await drawn(page);
    await holds(page, world.key);
  });

  it("says when the day's pictures are used up, and when there are some again", async () => {
    const { key } = await world.api<CreatedKey>("POST", "/v1/keys", {
      name: "one a day",
      scopes: ["generate", "read"],
      limits: { images_per_day: 1 },
    });
    const page = await visitAs(key);
    const before = known();
    await imagine(page, "a first pig");
    await finish(await world.arrival(before));
    await drawn(page);
    await imagine(page, "a second pig");
    await page.getByRole("heading", { name: "The day's pictures are used up" }).waitFor();
    await page
      .locator("main")
      .getByText(/Possible again in \d+ (hours?|minutes?|seconds?)\./)
      .waitFor();
    await accessible(page);
  });

  it("tries again by itself when the key has too many at once", async () => {
    const { key } = await world.api<CreatedKey>("POST", "/v1/keys", {
      name: "one at once",
      scopes: ["generate", "read"],
      limits: { concurrent: 1 },
    });
    const page = await visitAs(key);
    let before = known();
    await imagine(page, "one");
    const first = await world.arrival(before);
    await imagine(page, "another");
    await page.getByRole("heading", { name: "Too many generations at once" }).waitFor();
    await accessible(page);
    before = known();
    await finish(first);
    await finish(await world.arrival(before));
    await drawn(page);
  });

  it("names the scope that a key lacks", async () => {
    const { key } = await world.api<CreatedKey>("POST", "/v1/keys", { name: "reader", scopes: ["read"] });
    const page = await visitAs(key);
    await imagine(page, "a star");
    await page.locator("main").getByText("This needs a key with the scope generate; this one has read.").waitFor();
    await page.getByRole("button", { name: "Use another key" }).click();
    await page.getByLabel("An API key, to begin").waitFor();
  });

  it("says that a picture is gone, and that an address leads nowhere", async () => {
    const { page } = await world.visit("/g/gen_01jdd5m0000000000000000000");
    await page.getByText("It does not exist, or not for this key; it may have been deleted.").waitFor();
    await accessible(page);
    const answer = await page.goto(new URL("/somewhere/else", world.url).href);
    assert.equal(answer?.status(), 404);
    await page.getByRole("heading", { name: "There is nothing here" }).waitFor();
    await accessible(page);
  });

  it("is not confused by a clock that is a day off", async () => {
    const { page } = await world.visit("/study-nowhere");
    await page.addInitScript(() => {
      const real = Date.now;
      Date.now = () => real() - 86_400_000;
    });
    await page.goto(world.url);
    const before = known();
    await imagine(page, "a cactus in the future");
    const id = await world.arrival(before);
    await world.runner.start(id);
    await world.runner.progress(id, 4, 25);
    await page.getByText(/^Step 4 of 25/).waitFor();
    await world.runner.succeed(id, [picture(0)]);
    await drawn(page);
  });
});

describe("a page that no launcher gives a key", { timeout: 120_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create({ pageKey: false });
  });
  after(() => world.close());

  it("asks for one, keeps it in the tab, gives it to other tabs while it has it, and forgets it everywhere", async () => {
    const { page, complaints } = await world.visit();
    const box = page.getByLabel("An API key, to begin");
    await box.waitFor();
    await accessible(page);
    await page.locator("textarea").fill("a balloon");
    await page.getByRole("button", { name: "Imagine", exact: true }).click();
    await page.getByRole("alert").getByText("Give the page an API key first").waitFor();
    await box.fill("vgt_short");
    await page.getByText("A key is vgt_ and 38 letters and digits.").waitFor();
    assert.deepEqual(complaints, []);
    await box.fill(`vgt_${"0".repeat(38)}`);
    await page.getByRole("button", { name: "Use this key" }).click();
    await page.getByText("That key did not work").waitFor();
    await page.getByText("This is not a key of ours").waitFor();
    await accessible(page);
    await page.getByLabel("That key did not work").fill(world.key);
    await page.getByRole("button", { name: "Use this key" }).click();
    await box.waitFor({ state: "detached" });
    assert.equal(new URL(page.url()).href.includes("vgt_"), false);

    const other = await page.context().newPage();
    await other.goto(world.url);
    await holds(other, world.key);
    assert.equal((await fetch(new URL("/dev/session", world.url), { method: "POST" })).status, 404);
  });
});
