import fc from "fast-check";

/** As much of JSON Schema as this API's description uses. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
}

/** An OpenAPI document, as far as bodies are made from it. */
export interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}
interface Operation {
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, unknown>;
}

/** An operation that takes a JSON body, as the description tells of it. */
export interface BodyOperation {
  method: string;
  path: string;
  /** The name of its body's schema. */
  schema: string;
  /** The statuses that its answers may have. */
  statuses: number[];
}

/** Values that an API at work takes, by the names of the fields that they stand in; the schema's own come too. */
export type Hints = Record<string, fc.Arbitrary<unknown>>;

export function bodyOperations({ paths }: Description): BodyOperation[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, { requestBody, responses }]) => {
      const ref = requestBody?.content["application/json"]?.schema.$ref;
      if (ref === undefined) return [];
      const statuses = Object.keys(responses).map(Number);
      return [{ method: method.toUpperCase(), path, schema: nameOf(ref), statuses }];
    }),
  );
}

/** Bodies that a schema allows or nearly allows, some with a field that is anything, and a few that are anything at all. */
export function bodies(
  name: string,
  { components: { schemas } }: Pick<Description, "components">,
  hints: Hints = {},
): fc.Arbitrary<unknown> {
  const schema = schemas[name] ?? {};
  const near = valuesOf(schema, schemas, hints);
  const anything = fc.jsonValue({ stringUnit: "binary" });
  const fields = fc.oneof(fc.constantFrom(...Object.keys(schema.properties ?? {})), names);
  const spoilt = fc.tuple(near, fields, anything).map(([body, field, value]) => {
    return { ...(body as object), [field]: value };
  });
  return (
    fc
      .oneof({ weight: 6, arbitrary: near }, { weight: 3, arbitrary: spoilt }, { weight: 1, arbitrary: anything })
      // What JSON makes of it is what arrives.
      .map((body) => JSON.parse(JSON.stringify(body)))
  );
}

/** Any UTF-16 unit, halves of surrogate pairs included. */
const units = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
/** What a field may be called that no schema names. */
const names = fc.string({ unit: units, maxLength: 10 });

const nameOf = (ref: string) => ref.slice(ref.lastIndexOf("/") + 1);

function valuesOf(schema: Schema, schemas: Record<string, Schema>, hints: Hints): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return valuesOf(schemas[nameOf(schema.$ref)] ?? {}, schemas, hints);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.allOf) return fc.oneof(...schema.allOf.filter(saysMore).map((part) => valuesOf(part, schemas, hints)));
  const types = [schema.type ?? []].flat();
  return fc.oneof(...types.map((type) => valuesOfType(type, schema, schemas, hints)));
}

/** Whether a part of an `allOf` is more than a description or a null. */
const saysMore = ({ $ref, properties, enum: values }: Schema) => Boolean($ref ?? properties ?? values);

function valuesOfType(
  type: string,
  schema: Schema,
  schemas: Record<string, Schema>,
  hints: Hints,
): fc.Arbitrary<unknown> {
  switch (type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
    case "number":
      return numbers(type, schema);
    case "string":
      return texts(schema);
    case "array": {
      const { items = {}, minItems = 0, maxItems = 4 } = schema;
      return fc.array(valuesOf(items, schemas, hints), { minLength: minItems, maxLength: Math.min(maxItems, 4) });
    }
    case "object":
      return objects(schema, schemas, hints);
    default:
      throw new Error(`No values are made for the type ${type}; add it here.`);
  }
}

function objects(
  { properties = {}, required = [], additionalProperties }: Schema,
  schemas: Record<string, Schema>,
  hints: Hints,
): fc.Arbitrary<unknown> {
  if (typeof additionalProperties === "object")
    return fc.dictionary(names, valuesOf(additionalProperties, schemas, hints), { maxKeys: 3 });
  const fields = Object.entries(properties).map(([name, schema]): [string, fc.Arbitrary<unknown>] => {
    const hint = hints[name];
    const values = valuesOf(schema, schemas, hints);
    return [name, hint ? fc.oneof({ weight: 5, arbitrary: hint }, { weight: 1, arbitrary: values }) : values];
  });
  return fc.record(Object.fromEntries(fields), { requiredKeys: required });
}

/** Mostly within the bounds; on them and just beyond them now and then. */
function numbers(type: "integer" | "number", { minimum = 0, maximum = 1000 }: Schema): fc.Arbitrary<number> {
  const within =
    type === "integer"
      ? fc.integer({ min: minimum, max: maximum })
      : fc.double({ min: minimum, max: maximum, noNaN: true });
  const edges = fc.constantFrom(minimum, maximum, minimum - 1, maximum + 1, minimum + 0.5);
  return fc.oneof({ weight: 5, arbitrary: within }, { weight: 1, arbitrary: edges });
}

/** Any text that JSON can carry: halves of surrogate pairs, control characters, and too much of it included. */
function texts({ minLength = 0, maxLength = 200, pattern, format }: Schema): fc.Arbitrary<string> {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  if (format === "date-time") return fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
  const short = { minLength, maxLength: Math.min(maxLength, 40) };
  return fc.oneof(
    { weight: 4, arbitrary: fc.string(short) },
    { weight: 2, arbitrary: fc.string({ ...short, unit: "grapheme" }) },
    { weight: 1, arbitrary: fc.string({ ...short, unit: units }) },
    { weight: 1, arbitrary: fc.constantFrom("x".repeat(maxLength), "x".repeat(maxLength + 1)) },
  );
}
