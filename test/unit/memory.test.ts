import { describe, it } from "vitest";
import { Memory } from "../../src/worker/memory.ts";

const here = {};

describe("what an isolate remembers", () => {
  it("is forgotten in time", ({ expect }) => {
    const memory = new Memory<string>({ ms: 100, entries: 2 });
    memory.set(here, "a", "one", 1000);
    expect(memory.get(here, "a", 1099)).toBe("one");
    expect(memory.get(here, "a", 1100)).toBeUndefined();
  });

  it("is another configuration's own", ({ expect }) => {
    const memory = new Memory<string>({ ms: 100, entries: 2 });
    memory.set(here, "a", "one", 0);
    expect(memory.get({}, "a", 0)).toBeUndefined();
  });

  it("gives way to the newest, the oldest first", ({ expect }) => {
    const memory = new Memory<string>({ ms: 100, entries: 2 });
    for (const name of ["a", "b", "a", "c"]) memory.set(here, name, name, 0);
    expect(["a", "b", "c"].map((name) => memory.get(here, name, 0))).toEqual(["a", undefined, "c"]);
  });

  it("is of a limited size together, however entries come and go", ({ expect }) => {
    const memory = new Memory<string>({ ms: 100, entries: 10, size: 8, sizeOf: (value) => value.length });
    const known = () => ["a", "b", "c"].map((name) => memory.get(here, name, 0));
    memory.set(here, "a", "12345", 0);
    memory.set(here, "a", "123", 0);
    memory.set(here, "b", "12345", 0);
    expect(known()).toEqual(["123", "12345", undefined]);
    memory.set(here, "c", "1234", 0);
    expect(known()).toEqual([undefined, undefined, "1234"]);
    memory.set(here, "a", "1234", 0);
    memory.delete(here, "c");
    memory.forget(here, (value) => value === "1234");
    memory.set(here, "b", "12345678", 0);
    expect(known()).toEqual([undefined, "12345678", undefined]);
    memory.set(here, "c", "123456789", 0);
    expect(known()).toEqual([undefined, undefined, undefined]);
  });
});
