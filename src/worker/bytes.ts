/** Lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256, lower-case hex. */
export async function hashBytes(bytes: ArrayBuffer): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** 128 random bits, lower-case hex: more than anybody can try. */
export function randomToken(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}

/** SHA-256 of the text in UTF-8, lower-case hex. */
export async function hashText(text: string): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}
