import { beforeAll, describe, it } from "vitest";
import type { FakeRunner } from "../fakes/replicate.ts";
import { call, drawn, installRunner, makeKey } from "./harness.ts";

interface Operation {
  parameters?: { name: string; in: string }[];
  responses: Record<
    string,
    { content?: Record<string, { schema: { $ref?: string } }>; headers?: Record<string, object> }
  >;
}

let runner: FakeRunner;
let operations: Record<string, Operation>;
beforeAll(async () => {
  runner = installRunner();
  const { paths } = await (await call("GET", "/openapi.json")).json<{
    paths: Record<string, Record<string, Operation>>;
  }>();
  operations = Object.fromEntries(
    Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation]),
    ),
  );
});

const headersOf = (name: string) =>
  (operations[name]?.parameters ?? []).filter((each) => each.in === "header").map((each) => each.name);

describe("the description", () => {
  it("says of every operation what comes when something else goes wrong", ({ expect }) => {
    expect(Object.keys(operations).length).toBeGreaterThan(40);
    for (const [name, { responses }] of Object.entries(operations)) {
      const content = responses.default?.content ?? {};
      const schema = name.includes("/v1/images/")
        ? content["application/json"]?.schema.$ref
        : content["application/problem+json"]?.schema.$ref;
      expect(schema, name).toBe(`#/components/schemas/${name.includes("/v1/images/") ? "OpenAIError" : "Problem"}`);
    }
  });

  it("names the headers that a request for a picture is read for, OpenAI's too", ({ expect }) => {
    const shared = ["idempotency-key", "cache-control"];
    expect(headersOf("POST /v1/generations")).toEqual(expect.arrayContaining([...shared, "prefer"]));
    expect(headersOf("POST /v1/images/generations")).toEqual(expect.arrayContaining(shared));
  });

  it("shows one event of a stream as its reader has it, by its name", ({ expect }) => {
    const streamed = Object.entries(operations).flatMap(([name, { responses }]) => {
      const media = responses[200]?.content?.["text/event-stream"];
      return media ? [[name, media.schema.$ref]] : [];
    });
    expect(streamed).toEqual([
      ["POST /v1/images/generations", "#/components/schemas/ImagesStreamEvent"],
      ["GET /v1/generations/{id}/events", "#/components/schemas/GenerationStreamEvent"],
    ]);
  });

  it("requires no header of an answer that a repeat does not have", async ({ expect }) => {
    const key = await makeKey();
    const body = { prompt: "two purple cats", seed: 4 };
    await drawn(runner, key, body);
    const headers = { "Idempotency-Key": "again" };
    const answers = [await call("POST", "/v1/generations", { key, body, headers })];
    answers.push(await call("POST", "/v1/generations", { key, body, headers }));
    expect(answers[1]?.headers.get("Idempotency-Replayed")).toBe("true");
    for (const { status, headers: sent } of answers) {
      const described = operations["POST /v1/generations"]?.responses[status]?.headers ?? {};
      expect(Object.keys(described)).toContain("Cache-Status");
      for (const [name, header] of Object.entries(described))
        if ((header as { required?: boolean }).required) expect(sent.has(name), `${status} ${name}`).toBe(true);
    }
  });
});
