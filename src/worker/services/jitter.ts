/** The longest jittered wait between two tries, in seconds: how late a freed runner may be noticed. */
const MAX_WAIT_SECONDS = 15;

/**
 * Full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): whole seconds, 1 to
 * min(15, 2^attempts), so that those who wait together do not return together.
 */
export function jitter(attempts: number, random: () => number): number {
  return 1 + Math.floor(random() * Math.min(MAX_WAIT_SECONDS, 2 ** Math.min(attempts, 10)));
}
