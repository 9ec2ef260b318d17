import { beforeAll, describe, it } from "vitest";
import type { Key } from "../../src/contract/keys.ts";
import type { WebhookDelivery, WebhookEndpoint } from "../../src/contract/webhooks.ts";
import type { FakeRunner } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, read } from "./harness.ts";

/** Of an account's own naming: another account has another thing under the same name. */
const OWN_NAMES = ["/v1/groups/{id}", "/v1/profiles/{id}"];
/** A picture's address is its own key: whoever has it may look. */
const PUBLIC = ["/i/{file}"];

interface Route {
  method: string;
  path: string;
  /** Whether operators may name an account in its query. */
  namesAccount: boolean;
}

interface Operation {
  parameters?: { name: string; in: string }[];
}

let runner: FakeRunner;
let ours: string;
let theirs: string;
/** Theirs, for each `{name}` by what stands before it in the path. */
let names: Record<string, string>;
let routes: Route[];

beforeAll(async () => {
  runner = installRunner();
  [ours, theirs] = [await makeKey({ account: "ours" }), await makeKey({ account: "theirs" })];
  const { id } = await imagine(theirs, { user: "ada" });
  await arrival(runner, id);
  await runner.draw(id);
  const made = await call("POST", "/v1/keys", { key: theirs, body: { name: "another", scopes: ["read"] } });
  const key = (await made.json<Key>()).id;
  const hook = await call("POST", "/v1/webhook-endpoints", {
    key: theirs,
    body: { url: "https://hooks.example.com/in" },
  });
  const endpoint = (await hook.json<WebhookEndpoint>()).id;
  await call("POST", `/v1/webhook-endpoints/${endpoint}/test`, { key: theirs });
  const log = await call("GET", `/v1/webhook-endpoints/${endpoint}/deliveries`, { key: theirs });
  const delivery = (await log.json<{ data: WebhookDelivery[] }>()).data[0]?.id ?? "";
  names = {
    generations: id,
    keys: key,
    "webhook-endpoints": endpoint,
    deliveries: delivery,
    images: "0",
    groups: "guild",
    profiles: "ada",
    favorites: id,
  };
  const { paths } = await (await call("GET", "/openapi.json")).json<{
    paths: Record<string, Record<string, Operation>>;
  }>();
  routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([method]) => ["get", "put", "post", "patch", "delete"].includes(method))
      .map(([method, { parameters = [] }]) => ({
        method: method.toUpperCase(),
        path,
        namesAccount: parameters.some((each) => each.in === "query" && each.name === "account"),
      })),
  );
});

/** The route's path to what is theirs; throws for a route that this test has nothing for. */
function pathTo(path: string): string {
  const parts = path.split("/");
  return parts
    .map((part, at) => {
      if (!part.startsWith("{")) return part;
      const name = names[parts[at - 1] ?? ""];
      if (name === undefined) throw new Error(`Nothing of another account's is made for ${path}; add it here.`);
      return name;
    })
    .join("/");
}

/** A body that the route takes, so that only whose it is can be what is wrong. */
function bodyFor({ method, path }: Route): unknown {
  if (path === "/v1/policy") return method === "PUT" ? {} : undefined;
  if (path.endsWith("/feedback")) return method === "PUT" ? { verdict: "meant", consent: true } : undefined;
  if (path.endsWith("/rotate") || path.endsWith("/rotate-secret")) return { overlap_seconds: 0 };
  if (method === "PATCH") return path.includes("webhook") ? { disabled: true } : { name: "taken over" };
  return method === "POST" && path.endsWith("/share") ? {} : undefined;
}

describe("what is another account's", () => {
  it("is not there, by any route that names it", async ({ expect }) => {
    const answers: Record<string, number> = {};
    for (const route of routes) {
      if (!route.path.includes("{") || PUBLIC.includes(route.path) || OWN_NAMES.includes(route.path)) continue;
      const { status } = await call(route.method, pathTo(route.path), { key: ours, body: bodyFor(route) });
      answers[`${route.method} ${route.path}`] = status;
    }
    expect(Object.values(names)).not.toContain("");
    expect(Object.keys(answers).length).toBeGreaterThanOrEqual(18);
    const expected = Object.fromEntries(
      // Taking away what is not there is done already, whoever asks.
      Object.keys(answers).map((route) => [route, route.startsWith("DELETE /v1/profiles") ? 204 : 404]),
    );
    expect(answers).toEqual(expected);
  });

  it("is not there for who names the account either, unless it is an operator", async ({ expect }) => {
    const answers = await Promise.all(
      routes
        .filter(({ namesAccount }) => namesAccount)
        .map(async (route) => {
          const path = `${pathTo(route.path)}?account=theirs${route.path === "/v1/account" && route.method === "DELETE" ? "&confirm=theirs" : ""}`;
          const answer = await call(route.method, path, { key: ours, body: bodyFor(route) });
          return [`${route.method} ${route.path}`, (await answer.json<{ code: string }>()).code];
        }),
    );
    expect(answers.length).toBeGreaterThanOrEqual(10);
    expect(answers).toEqual(answers.map(([route]) => [route, "operator_only"]));
  });

  it("is as it was after that", async ({ expect }) => {
    const { generations: id, keys: key, "webhook-endpoints": endpoint } = names;
    const generation = await read(theirs, id ?? "");
    expect([generation.status, generation.images[0]?.share_url]).toEqual(["succeeded", null]);
    const kept = await (await call("GET", `/v1/keys/${key}`, { key: theirs })).json<Key>();
    expect([kept.name, kept.revoked_at]).toEqual(["another", null]);
    const hook = await call("GET", `/v1/webhook-endpoints/${endpoint}`, { key: theirs });
    expect((await hook.json<WebhookEndpoint>()).disabled).toBe(false);
  });

  it("is in no list", async ({ expect }) => {
    const lists = routes.filter(
      ({ method, path }) => method === "GET" && path.startsWith("/v1/") && !path.includes("{"),
    );
    expect(lists.length).toBeGreaterThanOrEqual(5);
    for (const { path } of lists) {
      const answer = await call("GET", path, { key: ours });
      const text = await answer.text();
      const found = ["generations", "keys", "webhook-endpoints", "deliveries"].filter((kind) =>
        text.includes(names[kind] ?? "-"),
      );
      expect([path, found]).toEqual([path, []]);
    }
  });
});
