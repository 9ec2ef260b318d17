/** A token bucket's state; a bucket never used is full. */
export interface Bucket {
  tokens: number;
  at: number;
}

const MINUTE_MS = 60_000;

/** The bucket at `now`: it holds `perMinute` tokens and fills up within a minute. A clock that went back adds nothing. */
export function refill(bucket: Bucket | null, perMinute: number, now: number): Bucket {
  if (!bucket) return { tokens: perMinute, at: now };
  const gained = (Math.max(0, now - bucket.at) * perMinute) / MINUTE_MS;
  return { tokens: Math.min(perMinute, bucket.tokens + gained), at: Math.max(now, bucket.at) };
}

/** When `tokens` are there, in milliseconds since 1970. */
export function filledAt({ tokens, at }: Bucket, perMinute: number, wanted: number): number {
  return at + Math.ceil((Math.max(0, wanted - tokens) * MINUTE_MS) / perMinute);
}
