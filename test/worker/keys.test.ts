import { env } from "cloudflare:workers";
import { beforeAll, describe, it, vi } from "vitest";
import { CreatedKey, isWellFormedKey, Key, type KeyList, newKey } from "../../src/contract/keys.ts";
import { Problem } from "../../src/contract/problem.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, reaches } from "./harness.ts";

let runner: FakeRunner;
let admin: string;
beforeAll(async () => {
  runner = installRunner();
  admin = await makeKey();
});

async function create(body: Record<string, unknown>, key = admin): Promise<CreatedKey> {
  const response = await call("POST", "/v1/keys", { key, body });
  if (response.status !== 201) throw new Error(await response.text());
  return response.json();
}

async function refusal(response: Response): Promise<[number, string]> {
  return [response.status, Problem.parse(await response.json()).code];
}

describe("authentication", () => {
  it("tells apart what can be wrong with a key", async ({ expect }) => {
    const good = await makeKey();
    const unknown = `vgt_${good.slice(4)}`;
    await env.DB.prepare("DELETE FROM keys WHERE prefix = ?").bind(good.slice(0, 10)).run();
    const expired = await makeKey({ expiresAt: Date.now() - 1 });
    for (const [authorization, code] of [
      [undefined, "key_missing"],
      ["Basic dXNlcjpwdw==", "key_malformed"],
      ["Bearer vgt_short", "key_malformed"],
      [`Bearer ${unknown.slice(0, -1)}${unknown.endsWith("0") ? "1" : "0"}`, "key_malformed"],
      [`Bearer ${unknown}`, "key_unknown"],
      [`Bearer ${expired}`, "key_expired"],
    ] as const) {
      const response = await call("GET", "/v1/models", {
        headers: authorization ? { Authorization: authorization } : {},
      });
      expect(response.headers.get("WWW-Authenticate")).toContain("Bearer");
      expect(await refusal(response)).toEqual([401, code]);
    }
  });

  it("lets a key do what its scopes say", async ({ expect }) => {
    const reader = await makeKey({ scopes: ["read"] });
    expect((await call("GET", "/v1/models", { key: reader })).status).toBe(200);
    const post = () => call("POST", "/v1/generations", { key: reader, body: { prompt: "a cat" } });
    expect(await refusal(await post())).toEqual([403, "scope_missing"]);
    expect(await refusal(await call("GET", "/v1/keys", { key: reader }))).toEqual([403, "scope_missing"]);
  });
});

describe("/v1/keys", () => {
  it("makes a key that works, shows it once and keeps only its hash", async ({ expect }) => {
    const created = CreatedKey.parse(await create({ name: "ci", scopes: ["read"], limits: { concurrent: 4 } }));
    expect(isWellFormedKey(created.key)).toBe(true);
    expect((await call("GET", "/v1/models", { key: created.key })).status).toBe(200);
    const shown = await (await call("GET", `/v1/keys/${created.id}`, { key: admin })).json();
    const { key: _, last_used_at: unused, ...rest } = created;
    expect(unused).toBeNull();
    expect(shown).toMatchObject(rest);
    const row = await env.DB.prepare("SELECT * FROM keys WHERE id = ?").bind(created.id).first();
    expect(JSON.stringify(row)).not.toContain(created.key);
    expect(row?.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it("revokes at once and for good", async ({ expect }) => {
    const { id, key } = await create({ name: "leaked", scopes: ["read"] });
    expect((await call("DELETE", `/v1/keys/${id}`, { key: admin })).status).toBe(204);
    expect(await refusal(await call("GET", "/v1/models", { key }))).toEqual([401, "key_revoked"]);
    expect((await call("DELETE", `/v1/keys/${id}`, { key: admin })).status).toBe(204);
    const shown = await (await call("GET", `/v1/keys/${id}`, { key: admin })).json<{ revoked_at: string }>();
    expect(Date.parse(shown.revoked_at)).toBeGreaterThan(0);
  });

  it("lists page by page, newest first, secrets left out", async ({ expect }) => {
    const owner = await makeKey({ account: "lister" });
    const made = [];
    for (const name of ["a", "b", "c"]) made.unshift((await create({ name, scopes: ["read"] }, owner)).id);
    const first = await (await call("GET", "/v1/keys?limit=2", { key: owner })).json<KeyList>();
    expect(first.data.map(({ id }) => id)).toEqual(made.slice(0, 2));
    expect(JSON.stringify(first)).not.toMatch(/vgt_[0-9A-Za-z]{7,}/);
    const second = await (
      await call("GET", `/v1/keys?limit=2&cursor=${first.next_cursor}`, { key: owner })
    ).json<KeyList>();
    expect(second.data.map(({ id }) => id).slice(0, 1)).toEqual(made.slice(2));
    expect(second.next_cursor).toBeNull();
  });

  it("refuses what makes no key", async ({ expect }) => {
    for (const [body, pointer] of [
      [{ scopes: ["read"] }, "#/name"],
      [{ name: "x", scopes: [] }, "#/scopes"],
      [{ name: "x", scopes: ["root"] }, "#/scopes/0"],
      [{ name: "x", scopes: ["read", "read"] }, "#/scopes"],
      [{ name: "x", scopes: ["read"], expires_at: "tomorrow" }, "#/expires_at"],
      [{ name: "x", scopes: ["read"], expires_at: "2020-01-01T00:00:00Z" }, "#/expires_at"],
      [{ name: "x", scopes: ["read"], limits: { concurrent: 0 } }, "#/limits/concurrent"],
    ] as const) {
      const response = await call("POST", "/v1/keys", { key: admin, body });
      expect(response.status, JSON.stringify(body)).toBe(422);
      expect(Problem.parse(await response.json()).errors?.[0]?.pointer).toBe(pointer);
    }
  });

  it("makes keys for another account for operators only, and never new operators", async ({ expect }) => {
    const body = { name: "tenant", scopes: ["admin", "read"], account: "tenant" };
    expect(await refusal(await call("POST", "/v1/keys", { key: admin, body }))).toEqual([403, "operator_only"]);
    const operator = await makeKey({ account: "operations", operator: true });
    const created = await create(body, operator);
    expect(created.account).toBe("tenant");
    const again = { ...body, account: "operations" };
    expect(await refusal(await call("POST", "/v1/keys", { key: created.key, body: again }))).toEqual([
      403,
      "operator_only",
    ]);
  });
});

describe("rotation", () => {
  const rotate = (id: string, body: unknown, key = admin) => call("POST", `/v1/keys/${id}/rotate`, { key, body });
  const tries = async (key: string) => (await call("GET", "/v1/models", { key })).status;

  it("gives a new secret under the same id, and lets the old one work on for the overlap", async ({ expect }) => {
    const made = await create({ name: "ci", scopes: ["read"], limits: { concurrent: 3 } });
    const rotated = CreatedKey.parse(await (await rotate(made.id, { overlap_seconds: 600 })).json());
    expect(rotated).toMatchObject({ id: made.id, limits: { concurrent: 3 }, scopes: ["read"], name: "ci" });
    expect(rotated.key).not.toBe(made.key);
    expect(Date.parse(rotated.previous_secret_until ?? "")).toBeGreaterThan(Date.now());
    expect([await tries(made.key), await tries(rotated.key)]).toEqual([200, 200]);
    const again = CreatedKey.parse(await (await rotate(made.id, {})).json());
    expect([await tries(made.key), await tries(rotated.key), await tries(again.key)]).toEqual([401, 200, 200]);
  });

  it("ends the old secret at once with no overlap, and needs a key that is active", async ({ expect }) => {
    const made = await create({ name: "leaked", scopes: ["read"] });
    expect(await tries(made.key)).toBe(200);
    const rotated = await (await rotate(made.id, { overlap_seconds: 0 })).json<CreatedKey>();
    expect(await refusal(await call("GET", "/v1/models", { key: made.key }))).toEqual([401, "key_expired"]);
    expect(await tries(rotated.key)).toBe(200);
    expect((await call("DELETE", `/v1/keys/${made.id}`, { key: admin })).status).toBe(204);
    expect(await refusal(await rotate(made.id, {}))).toEqual([409, "key_inactive"]);
    expect(await refusal(await rotate("key_nobody", {}))).toEqual([404, "not_found"]);
    expect((await rotate(made.id, { overlap_seconds: -1 })).status).toBe(422);
  });
});

describe("a key's life", () => {
  it("is changed field by field", async ({ expect }) => {
    const { id, key } = await create({ name: "old", scopes: ["read"], limits: { concurrent: 2 } });
    expect((await call("GET", "/v1/models", { key })).status).toBe(200);
    const patch = (body: unknown) => call("PATCH", `/v1/keys/${id}`, { key: admin, body });
    expect(await (await patch({ name: "new", scopes: ["webhooks"] })).json()).toMatchObject({
      id,
      name: "new",
      scopes: ["webhooks"],
      limits: { concurrent: 2 },
    });
    expect(await refusal(await call("GET", "/v1/models", { key }))).toEqual([403, "scope_missing"]);
    expect(await (await patch({ limits: {}, expires_at: null })).json()).toMatchObject({
      limits: {},
      expires_at: null,
    });
    for (const body of [{}, { scopes: [] }, { expires_at: "2020-01-01T00:00:00Z" }, { account: "acme" }])
      expect((await patch(body)).status, JSON.stringify(body)).toBe(422);
  });

  it("notes when it was last used", async ({ expect }) => {
    const { id, key, last_used_at } = await create({ name: "used", scopes: ["read"] });
    expect(last_used_at).toBeNull();
    await call("GET", "/v1/models", { key });
    const shown = await (await call("GET", `/v1/keys/${id}`, { key: admin })).json<CreatedKey>();
    expect(Date.parse(shown.last_used_at ?? "")).toBeGreaterThan(0);
  });

  it("is remembered for at most half a minute by an isolate that did not revoke it", async ({ expect }) => {
    const { id, key } = await create({ name: "elsewhere", scopes: ["read"] });
    expect((await call("GET", "/v1/models", { key })).status).toBe(200);
    await env.DB.prepare("UPDATE keys SET revoked_at = 1 WHERE id = ?").bind(id).run();
    expect((await call("GET", "/v1/models", { key })).status).toBe(200);
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 30_000);
    const late = await call("GET", "/v1/models", { key });
    clock.mockRestore();
    expect(await refusal(late)).toEqual([401, "key_revoked"]);
  });
});

describe("a key that was revoked elsewhere", () => {
  it("is used for nothing that would outlive it", async ({ expect }) => {
    for (const [path, body] of [
      ["/v1/keys", { name: "mine for ever", scopes: ["admin"] }],
      ["/v1/webhook-endpoints", { url: "https://hooks.example.com/in" }],
    ] as const) {
      const { id, key } = await create({ name: "leaked", scopes: ["admin", "webhooks", "read"] });
      expect((await call("GET", path, { key })).status).toBe(200);
      await env.DB.prepare("UPDATE keys SET revoked_at = 1 WHERE id = ?").bind(id).run();
      expect((await call("GET", "/v1/models", { key })).status).toBe(200);
      expect(await refusal(await call("POST", path, { key, body })), path).toEqual([401, "key_revoked"]);
    }
  });

  it("of an account that was erased is as good as revoked", async ({ expect }) => {
    const key = await makeKey({ account: "erased-elsewhere" });
    await env.DB.prepare("UPDATE accounts SET erased_at = 1 WHERE id = 'erased-elsewhere'").run();
    expect(await refusal(await call("GET", "/v1/models", { key }))).toEqual([401, "key_revoked"]);
    expect(await refusal(await call("POST", "/v1/keys", { key, body: { name: "x", scopes: ["read"] } }))).toEqual([
      401,
      "key_revoked",
    ]);
  });
});

describe("a key that nobody made", () => {
  it("costs one trip to the database in five seconds", async ({ expect }) => {
    const { secret } = await newKey();
    const tries = () => call("GET", "/v1/models", { key: secret });
    const prepare = vi.spyOn(env.DB, "prepare");
    const trips = () => prepare.mock.calls.filter(([sql]) => sql.includes("previous_hash = ?1")).length;
    for (let n = 0; n < 3; n++) expect(await refusal(await tries())).toEqual([401, "key_unknown"]);
    expect(await refusal(await call("GET", "/v1/keys", { key: secret }))).toEqual([401, "key_unknown"]);
    expect(trips()).toBe(1);
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 5_000);
    await tries();
    clock.mockRestore();
    expect(trips()).toBe(2);
    prepare.mockRestore();
  });
});

describe("an operator", () => {
  it("lists, changes, rotates and revokes the keys of any account that it names", async ({ expect }) => {
    const operator = await makeKey({ account: "operations", operator: true });
    const { id, key } = await create({ name: "tenant's", scopes: ["read"], account: "tenant-2" }, operator);
    const path = `/v1/keys/${id}`;
    const asked = (method: string, more = "", body?: unknown) =>
      call(method, `${path}${more}?account=tenant-2`, { key: operator, body });
    const list = await (await call("GET", "/v1/keys?account=tenant-2", { key: operator })).json<KeyList>();
    expect(list.data.map((one) => one.id)).toEqual([id]);
    expect(Key.parse(await (await asked("GET")).json())).toMatchObject({ id, account: "tenant-2" });
    expect(await (await asked("PATCH", "", { name: "renamed" })).json()).toMatchObject({ name: "renamed" });
    const rotated = CreatedKey.parse(await (await asked("POST", "/rotate", { overlap_seconds: 0 })).json());
    expect((await call("GET", "/v1/models", { key })).status).toBe(401);
    expect((await call("GET", "/v1/models", { key: rotated.key })).status).toBe(200);
    expect((await asked("DELETE")).status).toBe(204);
    expect(await refusal(await call("GET", "/v1/models", { key: rotated.key }))).toEqual([401, "key_revoked"]);
  });

  it("finds nothing in the wrong account", async ({ expect }) => {
    const operator = await makeKey({ account: "operations", operator: true });
    const { id } = await create({ name: "tenant's", scopes: ["read"], account: "tenant-3" }, operator);
    for (const path of [`/v1/keys/${id}`, `/v1/keys/${id}?account=acme`, "/v1/keys?account=nobody"])
      expect(await refusal(await call("GET", path, { key: operator })), path).toEqual([404, "not_found"]);
    expect((await call("GET", "/v1/keys?acount=tenant-3", { key: operator })).status).toBe(422);
  });
});

describe("another account", () => {
  it("sees and touches nothing of this one's", async ({ expect }) => {
    const mine = await makeKey({ account: "mine" });
    const theirs = await makeKey({ account: "theirs" });
    const { id } = await imagine(mine);
    await arrival(runner, id);
    for (const [method, path] of [
      ["GET", `/v1/generations/${id}`],
      ["GET", `/v1/generations/${id}/events`],
      ["POST", `/v1/generations/${id}/cancel`],
      ["DELETE", `/v1/generations/${id}`],
    ] as const)
      expect(await refusal(await call(method, path, { key: theirs })), path).toEqual([404, "not_found"]);
    expect(await (await call("GET", "/v1/generations", { key: theirs })).json()).toEqual({
      data: [],
      next_cursor: null,
    });
    const { id: keyId } = await create({ name: "x", scopes: ["read"] }, mine);
    expect((await call("GET", `/v1/keys/${keyId}`, { key: theirs })).status).toBe(404);
    expect((await call("DELETE", `/v1/keys/${keyId}`, { key: theirs })).status).toBe(404);
    expect((await call("PATCH", `/v1/keys/${keyId}`, { key: theirs, body: { name: "y" } })).status).toBe(404);
    expect((await call("POST", `/v1/keys/${keyId}/rotate`, { key: theirs, body: {} })).status).toBe(404);
    await runner.draw(id);
    await reaches(mine, id, "succeeded");
  });
});
