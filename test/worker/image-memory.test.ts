import { env } from "cloudflare:workers";
import { beforeAll, describe, it, vi } from "vitest";
import type { Generation } from "../../src/contract/generation.ts";
import { type FakeRunner, png } from "../fakes/replicate.ts";
import { arrival, call, imagine, installRunner, makeKey, reaches } from "./harness.ts";

let runner: FakeRunner;
let key: string;
beforeAll(async () => {
  runner = installRunner();
  key = await makeKey();
});

/** A picture whose file has about this many bytes. */
async function ofSize(bytes: number): Promise<{ generation: Generation; file: Uint8Array }> {
  const { id } = await imagine(key);
  await arrival(runner, id);
  const file = png("x".repeat(bytes));
  await runner.start(id);
  await runner.succeed(id, [file]);
  return { generation: await reaches(key, id, "succeeded"), file };
}

/** How many reads of R2 each of these requests costs. */
async function reads({ images }: Generation, methods: string[], file: Uint8Array): Promise<number[]> {
  const read = vi.spyOn(env.IMAGES, "get");
  const counts: number[] = [];
  for (const method of methods) {
    const before = read.mock.calls.length;
    const answer = await call(method, images[0]?.url ?? "");
    const body = new Uint8Array(await answer.arrayBuffer());
    if (method === "GET" && (body.length !== file.length || body.some((byte, at) => byte !== file[at])))
      throw new Error("these are other bytes");
    counts.push(read.mock.calls.length - before);
  }
  read.mockRestore();
  return counts;
}

describe("a picture that is looked at", () => {
  it("once goes through, and stays in memory from the second time on", async ({ expect }) => {
    for (const bytes of [100, 1_500_000]) {
      const { generation, file } = await ofSize(bytes);
      expect(await reads(generation, ["GET", "GET", "GET", "GET"], file)).toEqual([1, 1, 0, 0]);
    }
  });

  it("is read each time where it is too large to keep", async ({ expect }) => {
    const { generation, file } = await ofSize(2 * 1024 * 1024);
    expect(await reads(generation, ["GET", "GET", "GET"], file)).toEqual([1, 1, 1]);
  });

  it("is not read for its head alone", async ({ expect }) => {
    const { generation, file } = await ofSize(100);
    expect(await reads(generation, ["HEAD", "HEAD", "GET"], file)).toEqual([0, 0, 1]);
  });

  it("is gone with its generation, for whom it was in memory too", async ({ expect }) => {
    const { generation, file } = await ofSize(100);
    await reads(generation, ["GET", "GET"], file);
    await call("DELETE", `/v1/generations/${generation.id}`, { key });
    expect((await call("GET", generation.images[0]?.url ?? "")).status).toBe(404);
  });
});
