import { Refusal } from "./refusal.ts";

/** Reads a body of at most `limit` bytes, whether or not its length was announced. @throws {Refusal} body_too_large */
export async function readBody(request: Request, limit: number): Promise<ArrayBuffer> {
  if (Number(request.headers.get("Content-Length") ?? 0) > limit) throw tooLarge(limit);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || !value) break;
    size += value.byteLength;
    if (size > limit) {
      await reader?.cancel();
      throw tooLarge(limit);
    }
    chunks.push(value);
  }
  return new Blob(chunks).arrayBuffer();
}

function tooLarge(limit: number): Refusal {
  return new Refusal("body_too_large", `A body may have ${Math.floor(limit / 1024)} KiB; send less.`);
}
