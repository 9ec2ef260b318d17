/** Discord answers within seconds; a signed request that is older was kept by somebody. */
const FRESH_SECONDS = 300;

/**
 * Whether Discord signed this body with the application's key: Ed25519 over the timestamp and the raw bytes
 * (discord-api-docs: interactions/overview, "Validating Security Request Headers").
 * @param publicKey 32 bytes in hexadecimal
 * @param now milliseconds since 1970
 */
export async function isFromDiscord(
  publicKey: string,
  headers: Headers,
  body: ArrayBuffer,
  now: number,
): Promise<boolean> {
  const signature = fromHex(headers.get("X-Signature-Ed25519") ?? "");
  const timestamp = headers.get("X-Signature-Timestamp") ?? "";
  if (signature?.length !== 64 || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(now / 1000 - Number(timestamp)) > FRESH_SECONDS) return false;
  const raw = fromHex(publicKey);
  if (raw?.length !== 32) return false;
  const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  const signed = await new Blob([timestamp, body]).arrayBuffer();
  return crypto.subtle.verify("Ed25519", key, signature, signed);
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^(?:[0-9a-f]{2})+$/i.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
