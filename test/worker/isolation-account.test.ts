import { beforeAll, describe, it } from "vitest";
import type { Account } from "../../src/contract/accounts.ts";
import type { Problem } from "../../src/contract/problem.ts";
import { call, installRunner, makeKey } from "./harness.ts";

beforeAll(() => {
  installRunner();
});

describe("an account that a request's body names", () => {
  const change = { limits: { concurrent_per_user: 3 }, retention: { images_days: 1 } };
  const patch = (key: string, body: object) => call("PATCH", "/v1/account", { key, body });
  const read = async (key: string) => (await call("GET", "/v1/account", { key })).json<Account>();

  it("is changed by itself and by operators, and by nobody else", async ({ expect }) => {
    const [ours, theirs] = [await makeKey({ account: "ours" }), await makeKey({ account: "theirs" })];
    const before = await read(theirs);
    const refused = await patch(ours, { account: "theirs", ...change });
    const problem = await refused.json<Problem>();
    expect([refused.status, problem.code, problem.errors?.[0]?.pointer]).toEqual([403, "operator_only", "#/account"]);
    // That it does not exist is told no more than that it does.
    expect((await (await patch(ours, { account: "nobody", ...change })).json<Problem>()).code).toBe("operator_only");
    expect(await read(theirs)).toEqual(before);
    expect(await read(ours)).toMatchObject({ limits: {}, retention: { images_days: null } });

    expect((await patch(theirs, { account: "theirs", ...change })).status).toBe(200);
    const operator = await makeKey({ account: "operations", operator: true });
    expect((await patch(operator, { account: "ours", ...change })).status).toBe(200);
    for (const key of [ours, theirs]) expect(await read(key)).toMatchObject({ retention: { images_days: 1 } });
  });

  it("makes no key in another's either", async ({ expect }) => {
    const ours = await makeKey({ account: "ours" });
    await makeKey({ account: "theirs" });
    const body = { name: "taken over", scopes: ["read"], account: "theirs" };
    const refused = await call("POST", "/v1/keys", { key: ours, body });
    expect([refused.status, (await refused.json<Problem>()).code]).toEqual([403, "operator_only"]);
  });
});
