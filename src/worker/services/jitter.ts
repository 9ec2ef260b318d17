/**
 * The longest jittered wait between two tries, in seconds. A runner at work tells when it is done, and then the line moves
 * by itself; one that is away tells nobody when it is back.
 */
const MAX_WAIT_SECONDS = { busy: 60, away: 15 };

/**
 * Full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): whole seconds, 1 to
 * min(15 or 60, 2^attempts), so that those who wait together do not return together.
 */
export function jitter(attempts: number, random: () => number, { busy = false }: { busy?: boolean } = {}): number {
  const longest = busy ? MAX_WAIT_SECONDS.busy : MAX_WAIT_SECONDS.away;
  return 1 + Math.floor(random() * Math.min(longest, 2 ** Math.min(attempts, 10)));
}
