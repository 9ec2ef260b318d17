import { newId } from "./ids.ts";
import { atMost } from "./text.ts";
import { z } from "./zod.ts";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS = 32;
const CHECKSUM_CHARS = 6;
const KEY = new RegExp(`^vgt_[0-9A-Za-z]{${RANDOM_CHARS + CHECKSUM_CHARS}}$`);
/** How many characters of a key are kept readable, to tell keys apart in a list. */
const VISIBLE_CHARS = 10;

export const Scope = z.enum(["generate", "read", "webhooks", "admin"]).openapi("Scope");
export type Scope = z.infer<typeof Scope>;

export const KeyLimits = z
  .strictObject({
    requests_per_minute: z.int().min(1).max(1_000_000).optional(),
    concurrent: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .openapi({ description: "Generations queued or running at once." }),
    images_per_day: z.int().min(1).max(10_000_000).optional(),
  })
  .openapi("KeyLimits");
export type KeyLimits = z.infer<typeof KeyLimits>;

export const CreateKey = z
  .strictObject({
    name: atMost(100, z.string().trim().min(1)),
    scopes: z
      .array(Scope)
      .min(1)
      .refine((scopes) => new Set(scopes).size === scopes.length, "Name each scope once."),
    expires_at: z.iso
      .datetime({ offset: true })
      .optional()
      .openapi({ description: "RFC 3339; absent: never expires." }),
    limits: KeyLimits.optional(),
    account: z
      .string()
      .regex(
        /^[a-z0-9][a-z0-9_-]{0,63}$/,
        "An account is 1 to 64 of a-z, 0-9, - and _, and starts with a letter or digit.",
      )
      .optional()
      .openapi({ description: "Operators only: make the key in this account, which is created when it is new." }),
  })
  .openapi("CreateKey", {
    example: {
      name: "Ada's notebook",
      scopes: ["generate", "read"],
      expires_at: "2027-06-30T00:00:00Z",
      limits: { images_per_day: 500 },
    },
  });
export type CreateKey = z.infer<typeof CreateKey>;

/** The longest that a rotated key's old secret goes on working, in seconds. */
const MAX_OVERLAP_SECONDS = 7 * 24 * 60 * 60;

export const RotateKey = z
  .strictObject({
    overlap_seconds: z
      .int()
      .min(0)
      .max(MAX_OVERLAP_SECONDS)
      .default(3600)
      .openapi({ description: "How long the old secret still works; 0 ends it at once, as after a leak." }),
  })
  .openapi("RotateKey", { example: { overlap_seconds: 3600 } });
export type RotateKey = z.infer<typeof RotateKey>;

export const UpdateKey = CreateKey.pick({ name: true, scopes: true, limits: true })
  .extend({ expires_at: CreateKey.shape.expires_at.unwrap().nullable().optional() })
  .partial()
  .strict()
  .refine((change) => Object.keys(change).length > 0, "Name at least one field to change.")
  .openapi("UpdateKey", {
    description: "Fields left out stay as they are; `limits` is replaced as a whole.",
    example: { limits: { images_per_day: 1000 }, expires_at: null },
  });
export type UpdateKey = z.infer<typeof UpdateKey>;

const KEY_EXAMPLE = {
  id: "key_01jdd5m0000000000000000000",
  object: "key",
  name: "Ada's notebook",
  prefix: "vgt_EXAMPL",
  account: "acme",
  scopes: ["generate", "read"],
  limits: { images_per_day: 500 },
  created_at: "2026-11-24T12:00:00.000Z",
  expires_at: "2027-06-30T00:00:00.000Z",
  revoked_at: null,
  last_used_at: null,
  previous_secret_until: null,
};

export const Key = z
  .object({
    id: z.string(),
    object: z.literal("key"),
    name: z.string(),
    prefix: z.string().openapi({ description: "The key's first characters." }),
    account: z.string(),
    scopes: z.array(Scope),
    limits: KeyLimits,
    created_at: z.string(),
    expires_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
    last_used_at: z.string().nullable().openapi({ description: "To within a minute; null: never." }),
    previous_secret_until: z
      .string()
      .nullable()
      .openapi({ description: "Until when the secret before the last rotation works; null when it does not." }),
  })
  .openapi("Key", { example: KEY_EXAMPLE });
export type Key = z.infer<typeof Key>;

export const CreatedKey = Key.extend({
  key: z.string().openapi({ description: "The key itself. It is shown this once and stored as a hash only." }),
}).openapi("CreatedKey", { example: { ...KEY_EXAMPLE, key: "vgt_EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0EXAMPL" } });
export type CreatedKey = z.infer<typeof CreatedKey>;

export const KeyList = z
  .object({ data: z.array(Key), next_cursor: z.string().nullable() })
  .openapi("KeyList", { example: { data: [KEY_EXAMPLE], next_cursor: null } });
export type KeyList = z.infer<typeof KeyList>;

/** A fresh key with what is stored of it: the secret itself never is. */
export interface MintedKey {
  id: string;
  secret: string;
  prefix: string;
  /** SHA-256 of the secret, lower-case hex. */
  hash: string;
}

/** Makes `vgt_` + 32 base62 characters (190 random bits) + a 6-character CRC-32 checksum. */
export async function newKey(now: number = Date.now()): Promise<MintedKey> {
  let random = "";
  while (random.length < RANDOM_CHARS) {
    // 248 is the largest multiple of 62 in a byte: larger values would favour the first characters.
    for (const byte of crypto.getRandomValues(new Uint8Array(64)))
      if (byte < 248 && random.length < RANDOM_CHARS) random += BASE62.charAt(byte % 62);
  }
  const secret = `vgt_${random}${checksum(random)}`;
  return { id: newId("key", now), secret, prefix: secret.slice(0, VISIBLE_CHARS), hash: await hashKey(secret) };
}

/** Whether the text has a key's form and its checksum agrees; says nothing about the key being known. */
export function isWellFormedKey(text: string): boolean {
  if (!KEY.test(text)) return false;
  const random = text.slice(4, 4 + RANDOM_CHARS);
  return text.slice(4 + RANDOM_CHARS) === checksum(random);
}

/** SHA-256, lower-case hex. The secret has 190 random bits, so a slow hash would add nothing. */
export async function hashKey(secret: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function checksum(random: string): string {
  let crc = 0xffffffff;
  for (let i = 0; i < random.length; i++) {
    crc ^= random.charCodeAt(i);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = (crc ^ 0xffffffff) >>> 0;
  let text = "";
  for (let i = 0; i < CHECKSUM_CHARS; i++, rest = Math.floor(rest / 62)) text = BASE62.charAt(rest % 62) + text;
  return text;
}
