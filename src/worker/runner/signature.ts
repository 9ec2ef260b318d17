/** How far a callback's timestamp may be from our clock, in seconds (Standard Webhooks: about five minutes). */
export const TOLERANCE_SECONDS = 300;

export type Verdict = { valid: true } | { valid: false; reason: string };

/**
 * Verifies a Standard Webhooks message: HMAC-SHA256 over `{id}.{timestamp}.{body}`, any of the space-separated `v1`
 * signatures (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
 * The SDK's own check has neither a tolerance nor a constant-time comparison; `subtle.verify` has the latter.
 *
 * @param secret `whsec_` + base64
 * @param now milliseconds since 1970
 */
export async function verifySignature(headers: Headers, body: string, secret: string, now: number): Promise<Verdict> {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const signatures = headers.get("webhook-signature");
  if (!id || !timestamp || !signatures)
    return invalid("The headers webhook-id, webhook-timestamp and webhook-signature are needed.");
  if (!/^\d{1,12}$/.test(timestamp)) return invalid("webhook-timestamp is not a number of seconds.");
  if (Math.abs(now / 1000 - Number(timestamp)) > TOLERANCE_SECONDS)
    return invalid(
      `webhook-timestamp is more than ${TOLERANCE_SECONDS} s from this clock; sign again when sending again.`,
    );
  const raw = bytes(secret.replace(/^whsec_/, ""));
  if (!raw) return invalid("The secret is not base64.");
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  for (const entry of signatures.split(" ")) {
    const [version, value] = entry.split(",", 2);
    const signature = version === "v1" && value ? bytes(value) : null;
    if (signature && (await crypto.subtle.verify("HMAC", key, signature, signed))) return { valid: true };
  }
  return invalid("No v1 signature matches the body.");
}

function invalid(reason: string): Verdict {
  return { valid: false, reason };
}

function bytes(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}
