/** Slack asks receivers to refuse what is older (docs.slack.dev/authentication/verifying-requests-from-slack). */
const FRESH_SECONDS = 300;

/**
 * Whether Slack signed this body: `v0=` + hex HMAC-SHA256 of `v0:timestamp:body` with the app's signing secret.
 * @param now milliseconds since 1970
 */
export async function isFromSlack(secret: string, headers: Headers, body: ArrayBuffer, now: number): Promise<boolean> {
  const [, hex] = /^v0=([0-9a-f]{64})$/.exec(headers.get("X-Slack-Signature") ?? "") ?? [];
  const timestamp = headers.get("X-Slack-Request-Timestamp") ?? "";
  if (!hex || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(now / 1000 - Number(timestamp)) > FRESH_SECONDS) return false;
  const key = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["verify"],
  );
  const signature = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const signed = await new Blob([`v0:${timestamp}:`, body]).arrayBuffer();
  return crypto.subtle.verify("HMAC", key, signature, signed);
}
