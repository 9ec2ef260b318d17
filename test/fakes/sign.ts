/** Standard Webhooks headers for a body, made independently of the code that verifies them. */
export async function signWebhook(
  body: string,
  secret: string,
  { now, id = `msg_${crypto.randomUUID()}` }: { now: number; id?: string },
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(now / 1000));
  const raw = Uint8Array.from(atob(secret.replace("whsec_", "")), (char) => char.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(`${id}.${timestamp}.${body}`));
  return {
    "Content-Type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${btoa(String.fromCharCode(...new Uint8Array(mac)))}`,
  };
}
