/** Made for the tests alone: the key that the edge's bots use, and a Discord application's key pair. */
export const CHAT_API_KEY = "vgt_wFwEXDWPobFz7NE5UnbzWe73g4Js3XDl1f1Zvv";
export const DISCORD_PUBLIC_KEY = "8d7ed1fdb80069b62d664cec8da8beeed2f3aabbc23378a0d6cdba79edb04dd7";
const DISCORD_PRIVATE_KEY = "MC4CAQAwBQYDK2VwBCIEID7juAGv3Huqyt+GhL3s1dRobBTYUUuGn7oaaINCKDwX";

/** The headers with which Discord signs a body. @param at milliseconds since 1970 */
export async function signAsDiscord(body: string, at: number): Promise<Record<string, string>> {
  const der = Uint8Array.from(atob(DISCORD_PRIVATE_KEY), (letter) => letter.charCodeAt(0));
  const key = await crypto.subtle.importKey("pkcs8", der, "Ed25519", false, ["sign"]);
  const timestamp = String(Math.floor(at / 1000));
  const signature = await crypto.subtle.sign("Ed25519", key, new TextEncoder().encode(timestamp + body));
  const hex = Array.from(new Uint8Array(signature), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { "X-Signature-Ed25519": hex, "X-Signature-Timestamp": timestamp, "Content-Type": "application/json" };
}

export const SLACK_SIGNING_SECRET = "8f742231b10e88884bcd99a00f0085a5";

/** The headers with which Slack signs a body. @param at milliseconds since 1970 */
export async function signAsSlack(
  body: string,
  at: number,
  type = "application/x-www-form-urlencoded",
): Promise<Record<string, string>> {
  const raw = new TextEncoder().encode(SLACK_SIGNING_SECRET);
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const timestamp = String(Math.floor(at / 1000));
  const signed = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(`v0:${timestamp}:${body}`));
  const hex = Array.from(new Uint8Array(signed), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { "X-Slack-Signature": `v0=${hex}`, "X-Slack-Request-Timestamp": timestamp, "Content-Type": type };
}
