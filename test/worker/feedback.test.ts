import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import { Feedback, FeedbackList } from "../../src/contract/feedback.ts";
import { Problem } from "../../src/contract/problem.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, reaches } from "./harness.ts";

let runner: FakeRunner;
beforeAll(() => {
  runner = installRunner();
});

let accounts = 0;
const account = () => makeKey({ account: `judges-${++accounts}` });

async function drawn(key: string, body: Record<string, unknown> = {}): Promise<string> {
  const { id } = await imagine(key, body);
  await arrival(runner, id);
  await runner.draw(id);
  await reaches(key, id, "succeeded");
  return id;
}

const give = (key: string, id: string, body: unknown) =>
  call("PUT", `/v1/generations/${id}/feedback`, { key, body: body as object });
const list = async (key: string, query = "") =>
  FeedbackList.parse(await (await call("GET", `/v1/feedback${query}`, { key })).json());

test("what a person agreed to is kept with what it became and its picture, the last word counts", async () => {
  const key = await account();
  const id = await drawn(key, { prompt: "two purple cats", user: "ada" });
  const kept = Feedback.parse(
    await (
      await give(key, id, { verdict: "not_meant", consent: true, narrative: "my cats", changed_into: "2cat" })
    ).json(),
  );
  expect(kept).toMatchObject({
    generation: id,
    verdict: "not_meant",
    narrative: "my cats",
    changed_into: "2cat",
    user: "ada",
  });
  const image = await call("GET", new URL(kept.image?.url ?? "").pathname);
  expect(image.status).toBe(200);
  await image.arrayBuffer();
  expect((await give(key, id, { verdict: "meant", consent: true })).status).toBe(200);
  const { data } = await list(key);
  expect(data).toHaveLength(1);
  // Unchanged, it was changed into what the model read.
  const { reading } = await (await call("GET", `/v1/generations/${id}`, { key })).json<{
    reading: { tag: string }[] | null;
  }>();
  expect(data[0]).toMatchObject({
    verdict: "meant",
    narrative: "two purple cats",
    changed_into: reading?.map(({ tag }) => tag).join(", ") ?? null,
  });
});

test("nothing is kept without consent, of what was not drawn, or of somebody else's", async () => {
  const key = await account();
  const id = await drawn(key);
  for (const [body, pointer] of [
    [{ verdict: "meant" }, "#/consent"],
    [{ verdict: "meant", consent: false }, "#/consent"],
    [{ verdict: "splendid", consent: true }, "#/verdict"],
    [{ verdict: "meant", consent: true, narrative: "" }, "#/narrative"],
  ] as const) {
    const problem = Problem.parse(await (await give(key, id, body)).json());
    expect(problem).toMatchObject({ code: "invalid_request", errors: [{ pointer }] });
  }
  const waiting = await imagine(key);
  expect(Problem.parse(await (await give(key, waiting.id, { verdict: "meant", consent: true })).json())).toMatchObject({
    code: "not_drawn",
  });
  expect((await give(await account(), id, { verdict: "meant", consent: true })).status).toBe(404);
  const reader = await makeKey({ scopes: ["read"] });
  expect((await give(reader, id, { verdict: "meant", consent: true })).status).toBe(403);
  expect((await list(key)).data).toEqual([]);
});

test("it is paged, found by verdict and person, taken back, and goes with its picture", async () => {
  const key = await account();
  const ids: string[] = [];
  for (const user of ["ada", "bob", "ada"]) ids.push(await drawn(key, { user }));
  const [first = "", second = "", third = ""] = ids;
  for (const id of ids) await give(key, id, { verdict: id === second ? "not_meant" : "meant", consent: true });
  const page = await list(key, "?limit=2");
  expect(page.data.map(({ generation }) => generation)).toEqual([third, second]);
  expect((await list(key, `?limit=2&cursor=${page.next_cursor}`)).data.map(({ generation }) => generation)).toEqual([
    first,
  ]);
  expect((await list(key, "?verdict=not_meant")).data).toMatchObject([{ generation: second, user: "bob" }]);
  expect((await list(key, "?user=ada&verdict=meant")).data).toHaveLength(2);
  const back = () => call("DELETE", `/v1/generations/${first}/feedback`, { key });
  expect((await back()).status).toBe(204);
  expect((await back()).status).toBe(404);
  expect((await call("DELETE", `/v1/generations/${third}`, { key })).status).toBe(204);
  expect((await list(key)).data.map(({ generation }) => generation)).toEqual([second]);
  const left = await env.DB.prepare("SELECT COUNT(*) AS left FROM feedback WHERE generation_id = ?")
    .bind(third)
    .first("left");
  expect(left).toBe(0);
});
