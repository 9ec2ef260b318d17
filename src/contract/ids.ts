const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;

/** Prefixes of the ids that cross the wire. */
export type IdPrefix = "gen" | "key" | "req" | "whe";

/**
 * A prefixed id whose text order is its order of creation: `gen_` + 26 lower-case Crockford base32 characters,
 * 48 bits of milliseconds and 80 random bits (https://github.com/ulid/spec).
 *
 * @param now milliseconds since 1970, below 2^48
 * @param random 16 random bytes; five bits of each are used
 */
export function newId(
  prefix: IdPrefix,
  now: number = Date.now(),
  random: Uint8Array = crypto.getRandomValues(new Uint8Array(RANDOM_CHARS)),
): string {
  let time = "";
  for (let rest = now, i = 0; i < TIME_CHARS; i++, rest = Math.floor(rest / 32))
    time = ALPHABET.charAt(rest % 32) + time;
  let tail = "";
  for (const byte of random) tail += ALPHABET.charAt(byte & 31);
  return `${prefix}_${time}${tail}`;
}

/** When an id was made, in milliseconds since 1970 by its maker's clock; NaN for what is no id. */
export function timeOf(id: string): number {
  const [, time = ""] = /^[a-z]+_([0-9a-z]{10})/.exec(id) ?? [];
  let at = time === "" ? Number.NaN : 0;
  for (const char of time) at = at * 32 + (ALPHABET.includes(char) ? ALPHABET.indexOf(char) : Number.NaN);
  return at;
}

/** The pattern of an id with this prefix. */
export function idPattern(prefix: IdPrefix): RegExp {
  return new RegExp(`^${prefix}_[${ALPHABET}]{${TIME_CHARS + RANDOM_CHARS}}$`);
}
