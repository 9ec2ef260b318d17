import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { World } from "./world.ts";

describe("the reference page", { timeout: 600_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create();
  });
  after(async () => {
    await world?.close();
  });

  it("shows every route without asking anybody but the edge", async () => {
    const { page, complaints } = await world.visit("/docs");
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.reload();
    for (const name of ["Ask for a picture", "Follow a generation", "OpenAI's Images API"])
      await page.getByText(name).first().waitFor();
    await page.getByText("Ask for a picture").first().click();
    await page.getByRole("heading", { name: "Ask for a picture" }).first().waitFor();
    await page.waitForLoadState("networkidle");
    const foreign = asked.filter((url) => !url.startsWith(world.url) && !/^(data|blob):/.test(url));
    assert.deepEqual(foreign, []);
    assert.deepEqual(complaints, []);
  });
});
