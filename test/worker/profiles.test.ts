import { beforeAll, expect, test } from "vitest";
import { GenerationList } from "../../src/contract/generation.ts";
import { Problem } from "../../src/contract/problem.ts";
import { Profile } from "../../src/contract/profiles.ts";
import { call, imagine, installRunner, makeKey } from "./harness.ts";

beforeAll(() => {
  installRunner();
});

let accounts = 0;
const account = () => makeKey({ account: `profiles-${++accounts}` });
const ADA = "/v1/profiles/discord%3A42";

const read = async (key: string, path = ADA) => Profile.parse(await (await call("GET", path, { key })).json());
const set = (key: string, preferences: unknown) => call("PATCH", ADA, { key, body: { preferences } });
const favorites = async (key: string, of: string, query = "") => {
  const answer = await call("GET", `/v1/generations?favorite_of=${encodeURIComponent(of)}${query}`, { key });
  return GenerationList.parse(await answer.json());
};

test("preferences are set one by one, taken away by null, and are one account's", async () => {
  const [key, other] = [await account(), await account()];
  expect(await read(key)).toEqual({ id: "discord:42", object: "profile", preferences: {} });
  await set(key, { ratio: "16:9", style: "ink" });
  const kept = Profile.parse(await (await set(key, { style: null, avoid: "text" })).json());
  expect(kept.preferences).toEqual({ ratio: "16:9", avoid: "text" });
  expect((await read(key)).preferences).toEqual(kept.preferences);
  expect((await read(other)).preferences).toEqual({});
  expect((await call("DELETE", ADA, { key })).status).toBe(204);
  expect((await read(key)).preferences).toEqual({});
});

test("bad preferences are refused by name", async () => {
  const key = await account();
  const many = (from: number, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${from + i}`, "x"]));
  expect((await set(key, many(0, 16))).status).toBe(200);
  for (const bad of [many(10, 7), many(0, 17), { ratio: 5 }, { "": "x" }, { ratio: "x".repeat(513) }]) {
    const answer = await set(key, bad);
    expect(answer.status).toBe(422);
    expect(Problem.parse(await answer.json()).errors?.[0]?.pointer).toMatch(/^#\/preferences/);
  }
  expect(Object.keys((await read(key)).preferences)).toHaveLength(16);
});

test("favorites are listed newest first, page by page, and go with their generation", async () => {
  const key = await account();
  const ids: string[] = [];
  for (const prompt of ["one cat", "two cats", "three cats"]) ids.push((await imagine(key, { prompt })).id);
  const star = (id: string, method = "PUT") => call(method, `${ADA}/favorites/${id}`, { key });
  for (const id of ids) expect((await star(id)).status).toBe(204);
  expect((await star(ids[0] ?? "")).status).toBe(204);
  const [one, two, three] = ids;
  const first = await favorites(key, "discord:42", "&limit=2");
  expect(first.data.map(({ id }) => id)).toEqual([three, two]);
  const rest = await favorites(key, "discord:42", `&limit=2&cursor=${first.next_cursor}`);
  expect(rest.data.map(({ id }) => id)).toEqual([one]);
  expect((await favorites(key, "discord:7")).data).toEqual([]);
  expect((await star(two ?? "", "DELETE")).status).toBe(204);
  await call("DELETE", `/v1/generations/${three}`, { key });
  expect((await favorites(key, "discord:42")).data.map(({ id }) => id)).toEqual([one]);
  await call("DELETE", ADA, { key });
  expect((await favorites(key, "discord:42")).data).toEqual([]);
});

test("what is another account's, or is not there, is nobody's favorite", async () => {
  const [key, other] = [await account(), await account()];
  const { id } = await imagine(other, { prompt: "two cats" });
  const answer = await call("PUT", `${ADA}/favorites/${id}`, { key });
  expect(answer.status).toBe(404);
  expect((await call("DELETE", `${ADA}/favorites/${id}`, { key })).status).toBe(204);
});
