const SECRET_BYTES = 32;

/** A fresh signing secret: `whsec_` + base64 of 32 random bytes (Standard Webhooks asks for 24 to 64). */
export function newSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(SECRET_BYTES))))}`;
}

/** What signs, and what did before it; times are milliseconds since 1970. */
export interface SigningSecret {
  secret: string;
  previousSecret: string | null;
  previousUntil: number | null;
}

/** Until when the secret before the last rotation signs too; null when it does not. */
export function overlapUntil({ previousSecret, previousUntil }: SigningSecret, now: number): number | null {
  return previousSecret !== null && previousUntil !== null && previousUntil > now ? previousUntil : null;
}

/** The secrets that sign now, the present one first. */
export function secretsAt(signing: SigningSecret, now: number): string[] {
  const { secret, previousSecret } = signing;
  return previousSecret !== null && overlapUntil(signing, now) !== null ? [secret, previousSecret] : [secret];
}

/**
 * The headers of a message: HMAC-SHA256 over `{id}.{timestamp}.{body}`, one signature per secret, so that receivers can
 * change theirs without losing one (https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
 * @param at milliseconds since 1970
 */
export async function signedHeaders(
  id: string,
  body: string,
  secrets: string[],
  at: number,
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(at / 1000));
  const message = new TextEncoder().encode(`${id}.${timestamp}.${body}`) as Uint8Array<ArrayBuffer>;
  const signatures = await Promise.all(secrets.map((secret) => sign(message, secret)));
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}

async function sign(message: Uint8Array<ArrayBuffer>, secret: string): Promise<string> {
  const raw = Uint8Array.from(atob(secret.replace(/^whsec_/, "")), (char) => char.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, message);
  return `v1,${btoa(String.fromCharCode(...new Uint8Array(signature)))}`;
}
