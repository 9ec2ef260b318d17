/** Encrypts what is kept at rest: AES-256-GCM with a fresh nonce each time, bound to what it belongs to. */
export interface Seal {
  close(text: string, belongsTo: string): Promise<string>;
  /** @throws when it was sealed with another key, for something else, or changed */
  open(sealed: string, belongsTo: string): Promise<string>;
}

const NONCE_BYTES = 12;
export const KEY_BYTES = 32;

/** @param key 32 bytes in base64 */
export async function sealOf(key: string): Promise<Seal> {
  const secret = await crypto.subtle.importKey("raw", bytesOf(key), "AES-GCM", false, ["encrypt", "decrypt"]);
  const text = new TextEncoder();
  return {
    async close(plain, belongsTo) {
      const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const additionalData = text.encode(belongsTo);
      const hidden = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, secret, text.encode(plain));
      return base64Of(new Uint8Array([...iv, ...new Uint8Array(hidden)]));
    },
    async open(sealed, belongsTo) {
      const all = bytesOf(sealed);
      const [iv, hidden] = [all.subarray(0, NONCE_BYTES), all.subarray(NONCE_BYTES)];
      const additionalData = text.encode(belongsTo);
      return new TextDecoder().decode(
        await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, secret, hidden),
      );
    },
  };
}

export const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const base64Of = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
