import { beforeEach, describe, it } from "vitest";
import { Problem } from "../../src/contract/problem.ts";
import { call, imagine, makeKey } from "./harness.ts";
import { installWorld, limited, newestAccount, post, refusal, usage } from "./limited.ts";

beforeEach(() => {
  installWorld();
});

describe("/v1/account", () => {
  const patch = (key: string, body: unknown) => call("PATCH", "/v1/account", { key, body });

  it("lets an account limit its users, and only operators its sum", async ({ expect }) => {
    const key = await limited({}, { images_per_day: 5 });
    const limits = { images_per_day: 5, images_per_day_per_user: 1 };
    expect(await (await patch(key, { limits })).json()).toMatchObject({ limits, operator: false });
    await imagine(key, { user: "ada" });
    expect((await post(key, { user: "ada" })).status).toBe(429);
    for (const greedy of [{ ...limits, images_per_day: 500 }, { images_per_day_per_user: 1 }]) {
      const refused = await patch(key, { limits: greedy });
      expect(refused.status).toBe(403);
      expect(Problem.parse(await refused.json())).toMatchObject({
        code: "operator_only",
        errors: [{ pointer: "#/limits/images_per_day" }],
      });
    }
    const operator = await makeKey({ account: "operations", operator: true });
    const account = newestAccount();
    const raised = await patch(operator, { account, limits: { images_per_day: 500 } });
    expect(await raised.json()).toMatchObject({ id: account, limits: { images_per_day: 500 } });
    expect((await post(key, { user: "ada" })).status).toBe(202);
    expect((await call("GET", `/v1/account?account=${account}`, { key: operator })).status).toBe(200);
    expect((await call("GET", "/v1/account?account=operations", { key })).status).toBe(403);
    expect((await patch(operator, { account: "nobody", limits: {} })).status).toBe(404);
  });
});

describe("a group", () => {
  const set = (key: string, id: string, change: unknown) => call("PATCH", `/v1/groups/${id}`, { key, body: change });

  it("has limits for each user in it and for all, which hold as soon as they are set", async ({ expect }) => {
    const key = await limited({});
    const before = await (await call("GET", "/v1/groups/chat:1", { key })).json();
    expect(before).toEqual({ id: "chat:1", object: "group", limits: {}, users: {} });
    expect((await post(key, { group: "chat:1", user: "ada" })).headers.get("RateLimit")).toBeNull();
    const limits = { images_per_day_per_user: 1, images_per_day: 3 };
    expect(await (await set(key, "chat:1", { limits })).json()).toMatchObject({ limits, users: {} });
    expect((await post(key, { group: "chat:1", user: "ada" })).status).toBe(202);
    const refused = await refusal(await post(key, { group: "chat:1", user: "ada" }));
    expect(refused).toMatchObject({ code: "quota_exceeded", violated: ["group-user-images-per-day"] });
    expect(refused.detail).toMatch(/^This end user in this group may have 1 pictures a day/);
    // Elsewhere the same person is free, and raising the limit is felt at once.
    expect((await post(key, { group: "chat:2", user: "ada" })).status).toBe(202);
    await set(key, "chat:1", { limits: { ...limits, images_per_day_per_user: 2 } });
    expect((await post(key, { group: "chat:1", user: "ada" })).status).toBe(202);
    expect((await post(key, { group: "chat:1", user: "bob" })).status).toBe(202);
    const full = await refusal(await post(key, { group: "chat:1", user: "eve" }));
    expect(full).toMatchObject({ code: "quota_exceeded", violated: ["group-images-per-day"] });
    expect((await usage(key, "?user=bob&group=chat:1")).quotas).toMatchObject([
      { policy: "group-user-images-per-day", limit: 2, remaining: 1 },
      { policy: "group-images-per-day", limit: 3, remaining: 0 },
    ]);
  });

  it("blocks one, frees another, and forgets both; other accounts' groups of that name are others", async ({
    expect,
  }) => {
    const key = await limited({});
    await set(key, "chat:1", {
      limits: { concurrent_per_user: 1 },
      users: { eve: { images_per_day: 0 }, bob: { concurrent: 2 } },
    });
    const blocked = await refusal(await post(key, { group: "chat:1", user: "eve" }));
    expect(blocked).toMatchObject({ code: "user_blocked", status: 403 });
    for (let i = 0; i < 2; i++) expect((await post(key, { group: "chat:1", user: "bob" })).status).toBe(202);
    expect((await refusal(await post(key, { group: "chat:1", user: "bob" }))).code).toBe("too_many_generations");
    const changed = await (await set(key, "chat:1", { users: { eve: null } })).json();
    expect(changed).toMatchObject({ limits: { concurrent_per_user: 1 }, users: { bob: { concurrent: 2 } } });
    expect((await post(key, { group: "chat:1", user: "eve" })).status).toBe(202);
    const other = await limited({});
    expect(await (await call("GET", "/v1/groups/chat:1", { key: other })).json()).toMatchObject({
      limits: {},
      users: {},
    });
  });

  it("names the field that is wrong, and has no more than its users", async ({ expect }) => {
    const key = await limited({});
    for (const [change, pointer] of [
      [{ limits: { images_per_day: 0 } }, "#/limits/images_per_day"],
      [{ limits: { pictures: 1 } }, "#/limits/pictures"],
      [{ users: { eve: { images_per_day: -1 } } }, "#/users/eve/images_per_day"],
    ] as const) {
      const problem = Problem.parse(await (await set(key, "chat:1", change)).json());
      expect(problem).toMatchObject({ code: "invalid_request", errors: [{ pointer }] });
    }
    const users = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`user${i}`, { concurrent: 1 }]));
    expect((await set(key, "chat:1", { users })).status).toBe(200);
    expect((await set(key, "chat:1", { users: { one: { concurrent: 1 } } })).status).toBe(422);
    const reader = await makeKey({ scopes: ["read"] });
    expect((await set(reader, "chat:1", { limits: {} })).status).toBe(403);
  });
});
