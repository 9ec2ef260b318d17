import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import * as contract from "../../src/contract/index.ts";
import * as openai from "../../src/contract/openai.ts";
import type { z } from "../../src/contract/zod.ts";

interface Media {
  schema: { $ref?: string };
  example?: unknown;
}
type Content = Record<string, Media>;
interface Operation {
  requestBody?: { content: Content };
  responses: Record<string, { content?: Content }>;
}
interface Description {
  paths: Record<string, Record<string, Operation>>;
  webhooks: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { example?: unknown }> };
}

const { paths, webhooks, components } = JSON.parse(readFileSync("docs/openapi.json", "utf8")) as Description;
const schemas = { ...contract, ...openai } as unknown as Record<string, z.ZodType | undefined>;

/** Every JSON body that the description promises: requests, and the answers of those that go well. */
const bodies = [...Object.entries(paths), ...Object.entries(webhooks)].flatMap(([path, operations]) =>
  Object.entries(operations).flatMap(([method, { requestBody, responses }]) => {
    const well = Object.entries(responses).filter(([status]) => status.startsWith("2"));
    return [["request", requestBody] as const, ...well].flatMap(([what, body]): [string, Media][] => {
      const media = body?.content?.["application/json"];
      return media ? [[`${method.toUpperCase()} ${path}, ${what}`, media]] : [];
    });
  }),
);

/** What the body of this schema is an example of. */
function exampleOf({ schema: { $ref = "" }, example }: Media) {
  const name = $ref.slice($ref.lastIndexOf("/") + 1);
  return { name, schema: schemas[name], example: example ?? components.schemas[name]?.example };
}

describe("an example in the description", () => {
  it("stands beside each body", ({ expect }) => {
    const bare = bodies.filter(([, media]) => exampleOf(media).example === undefined).map(([where]) => where);
    expect(bare).toEqual([]);
    expect(bodies.length).toBeGreaterThan(50);
  });

  it.for(bodies)("is what its schema takes, and no field more: %s", ([where, media], { expect }) => {
    const { name, schema, example } = exampleOf(media);
    if (!schema) throw new Error(`The contract exports no ${name}.`);
    const parsed = schema.parse(example);
    // A request's defaults are filled in; nothing of the example may get lost.
    if (where.endsWith("request")) expect(parsed).toMatchObject(example as object);
    else expect(parsed).toEqual(example);
  });
});

describe("an event's example", () => {
  it("carries what the stream's own kind of event carries", ({ expect }) => {
    const example = (name: string) => components.schemas[name]?.example as { event: string; data: string };
    const { event: type, data } = example("GenerationStreamEvent");
    expect(contract.GenerationEvent.parse({ type, data: JSON.parse(data) }).data).toEqual(JSON.parse(data));
    const images = example("ImagesStreamEvent");
    expect(JSON.parse(images.data)).toMatchObject({ type: images.event, b64_json: expect.any(String) });
  });
});

describe("a schema's own example", () => {
  const named = Object.entries(components.schemas).filter(([, { example }]) => example !== undefined);

  it.for(named)("is one of its kind: %s", ([name, { example }], { expect }) => {
    expect(schemas[name]?.parse(example)).toMatchObject(example as object);
  });
});
