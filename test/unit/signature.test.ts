import { Webhook } from "standardwebhooks";
import { describe, it } from "vitest";
import { TOLERANCE_SECONDS, verifySignature } from "../../src/worker/runner/signature.ts";

const secret = `whsec_${Buffer.alloc(32, 3).toString("base64")}`;
const now = Date.parse("2026-11-23T10:00:00Z");
const body = '{"prompt":"zwei Katzen \u{1f408}"}';

/** Headers made by the reference implementation. */
function signed(at: number): Headers {
  return new Headers({
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at / 1000)),
    "webhook-signature": new Webhook(secret).sign("msg_1", new Date(at), body),
  });
}

describe("verifySignature", () => {
  it("accepts what the reference implementation signs", async ({ expect }) => {
    expect(await verifySignature(signed(now), body, secret, now)).toEqual({ valid: true });
  });

  it("accepts clocks that differ by the tolerance and no more", async ({ expect }) => {
    for (const sign of [-1, 1]) {
      const edge = now + sign * TOLERANCE_SECONDS * 1000;
      expect((await verifySignature(signed(edge), body, secret, now)).valid).toBe(true);
      expect((await verifySignature(signed(edge + sign * 1000), body, secret, now)).valid).toBe(false);
    }
  });

  it("refuses a changed body, id, timestamp or secret", async ({ expect }) => {
    const headers = signed(now);
    expect((await verifySignature(headers, `${body} `, secret, now)).valid).toBe(false);
    for (const [name, value] of [
      ["webhook-id", "msg_2"],
      ["webhook-timestamp", String(now / 1000 + 1)],
    ] as const) {
      const changed = new Headers(headers);
      changed.set(name, value);
      expect((await verifySignature(changed, body, secret, now)).valid, name).toBe(false);
    }
    const other = `whsec_${Buffer.alloc(32, 4).toString("base64")}`;
    expect((await verifySignature(headers, body, other, now)).valid).toBe(false);
  });
});
