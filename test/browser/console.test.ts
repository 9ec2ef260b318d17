import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import type { CreatedKey, Generation } from "../../src/contract/index.ts";
import { serve } from "../bots/http.ts";
import { accessible, picture, World } from "./world.ts";

describe("the console", { timeout: 300_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create();
  });
  after(() => world.close());
  afterEach(() => world.reset());

  const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

  it("makes keys that are shown once, rotates and revokes them", async () => {
    const { page, complaints } = await world.visit("/console");
    await press(page, "New key");
    await page.getByRole("button", { name: "Make the key" }).click();
    await page.getByRole("alert").getByText("Give it a name").waitFor();
    await page.getByLabel("Name").fill("the shop");
    await page.getByLabel("At once").fill("3");
    await accessible(page);
    await press(page, "Make the key");
    const shown = page.getByRole("region", { name: "The key “the shop”" });
    const key = (await shown.locator("code").textContent()) ?? "";
    assert.match(key, /^vgt_[0-9A-Za-z]{38}$/);
    await accessible(page);
    const works = async (secret: string) =>
      (await fetch(new URL("/v1/generations", world.url), { headers: { Authorization: `Bearer ${secret}` } })).status;
    assert.equal(await works(key), 200);
    await press(page, "I have it");
    assert.equal((await page.content()).includes(key), false);

    const entry = page.getByRole("listitem").filter({ hasText: "the shop" });
    await entry.getByText("generate, read · 3 at once").waitFor();
    await entry.getByRole("button", { name: "Rotate" }).click();
    await accessible(page);
    await entry.getByRole("button", { name: "Rotate" }).click();
    const second = (await shown.locator("code").textContent()) ?? "";
    assert.deepEqual([await works(second), await works(key)], [200, 200]);
    await entry.getByRole("button", { name: "Revoke" }).click();
    await entry.getByRole("button", { name: "Revoke" }).click();
    await entry.getByText("Revoked just now").waitFor();
    assert.equal(await works(second), 401);
    await accessible(page);
    assert.deepEqual(complaints, []);
  });

  it("shows what was drawn per day, as a chart and as a table", async () => {
    const { id } = await world.api<Generation>("POST", "/v1/generations", { prompt: "counted", num_images: 2 });
    await world.arrival([...world.runner.predictions.keys()].filter((each) => each !== id));
    await world.runner.start(id);
    await world.runner.succeed(id, [picture(0), picture(1)]);
    const { page } = await world.visit("/console/usage");
    await page.getByRole("img", { name: /^2 pictures drawn and 0 requests answered/ }).waitFor();
    await page.getByText("As a table").click();
    const today = new Date().toISOString().slice(0, 10);
    assert.deepEqual(await page.getByRole("row", { name: today }).getByRole("cell").allTextContents(), ["1", "2", "0"]);
    await page.getByText("90", { exact: true }).click();
    await page.getByRole("img", { name: /in 90 days/ }).waitFor();
    await accessible(page);
  });

  it("registers an endpoint, tests it, shows its log and sends again", async () => {
    let mood = 500;
    const got: string[] = [];
    const receiver = await serve(async (request) => {
      got.push(request.headers.get("webhook-id") ?? "");
      return new Response(null, { status: mood });
    });
    try {
      const { page } = await world.visit("/console/webhooks");
      await press(page, "New endpoint");
      await page.getByLabel("Address").fill("nowhere");
      await press(page, "Register it");
      await page.getByRole("alert").getByText("Write the whole address").waitFor();
      await page.getByLabel("Address").fill("ftp://example.com/x");
      await press(page, "Register it");
      await page.locator("main").getByRole("alert").first().waitFor();
      await accessible(page);
      await page.getByLabel("Address").fill(`${receiver.origin}/told`);
      await press(page, "Register it");
      await page.getByText(/^whsec_/).waitFor();
      await press(page, "I have it");

      const entry = page.getByRole("listitem").filter({ hasText: `${receiver.origin}/told` });
      await entry.getByRole("button", { name: "Test" }).click();
      const log = entry.getByRole("region", { name: "Delivery log" });
      await log.getByText("webhook_endpoint.test").waitFor();
      await log.getByText(/one attempt · answered 500/).waitFor();
      await accessible(page);
      mood = 204;
      await entry.getByRole("button", { name: "Test" }).click();
      const delivered = log.getByRole("listitem").filter({ hasText: "delivered" });
      await delivered.getByText(/answered 204/).waitFor();
      const before = got.length;
      await delivered.getByRole("button", { name: "Send again" }).click();
      while (got.length === before) await page.waitForTimeout(20);
      assert.equal(got.at(-1), got.at(-2), "a repeat has the same id");

      await entry.getByRole("button", { name: "Take out of use" }).click();
      await entry.getByText("Out of use: taken out of use here").waitFor();
      await entry.getByRole("button", { name: "Use again" }).click();
      await entry.getByText("Out of use:").waitFor({ state: "detached" });
      await entry.getByRole("button", { name: "Delete" }).click();
      await entry.getByRole("button", { name: "Delete" }).click();
      await entry.waitFor({ state: "detached" });
    } finally {
      await receiver.close();
    }
  });

  it("changes the account's limits, and says which field the API refuses", async () => {
    const { page } = await world.visit("/console/limits");
    await page.getByLabel("At once, for each end user").fill("0");
    await press(page, "Save");
    await page.getByRole("alert").first().waitFor();
    await accessible(page);
    await page.getByLabel("At once, for each end user").fill("5");
    await press(page, "Save");
    await page.getByText("Saved").waitFor();
    const { limits } = await world.api<{ limits: Record<string, number> }>("GET", "/v1/account");
    assert.deepEqual(limits, { concurrent_per_user: 5 });
    await world.api("PATCH", "/v1/account", { limits: {} });
  });

  it("is for admin keys, and lets a key be forgotten in every tab", async () => {
    const { key } = await world.api<CreatedKey>("POST", "/v1/keys", { name: "no admin", scopes: ["generate", "read"] });
    const { page } = await world.visit("/nowhere");
    await page.evaluate((given) => sessionStorage.setItem("vignette.key", given), key);
    await page.goto(new URL("/console", world.url).href);
    await page.locator("main").getByText("This needs a key with the scope admin").waitFor();
    await accessible(page);
    const other = await page.context().newPage();
    await other.goto(new URL("/console", world.url).href);
    await page.getByRole("button", { name: /^Forget the key/ }).click();
    await other.getByLabel("An API key, to begin").waitFor();
    assert.equal(
      await other.evaluate(() => sessionStorage.length - Number(sessionStorage.getItem("vignette.draft") !== null)),
      0,
    );
  });
});
