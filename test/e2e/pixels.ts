import assert from "node:assert/strict";
import { createHash } from "node:crypto";

/** The SHA-256 of a PNG's pixels alone: its bytes also tell how it was drawn, so of two requests they always differ. */
export function pixelsOf(png: Uint8Array): string {
  const bytes = Buffer.from(png);
  const digest = createHash("sha256");
  let found = 0;
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString("latin1", at + 4, at + 8) !== "IDAT") continue;
    found += bytes.readUInt32BE(at);
    digest.update(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  }
  assert.ok(found > 0, "a PNG has pixels");
  return digest.digest("hex");
}
