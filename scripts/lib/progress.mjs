import { stderr } from "node:process";

// Results go to stdout (a path, JSON); everything said on the way there goes to stderr.
const live = () => stderr.isTTY && !process.env.CI;
const seconds = (since) => `${Math.round((Date.now() - since) / 1000)} s`;
const HEARTBEAT_MS = 15_000;

export const say = (line) => stderr.write(`${line}\n`);

/**
 * Runs one slow step and shows that it lives: a ticking line on a terminal, a line now and then elsewhere.
 * @template T
 * @param {string} label what is being done, in the present participle
 * @param {(detail: (text: string) => void) => Promise<T>} work calls `detail` with the latest news
 * @returns {Promise<T>}
 */
export async function step(label, work) {
  const since = Date.now();
  let news = "";
  const draw = () => {
    const line = `… ${label} (${seconds(since)}) ${news}`;
    stderr.write(`\r\x1b[K${line.slice(0, (stderr.columns ?? 80) - 1)}`);
  };
  const beat = () => say(`… ${label} (${seconds(since)}) ${news}`.trimEnd());
  if (!live()) say(`… ${label}`);
  const timer = setInterval(live() ? draw : beat, live() ? 200 : HEARTBEAT_MS);
  try {
    const result = await work((text) => {
      news = text.trim();
    });
    stderr.write(`${live() ? "\r\x1b[K" : ""}✓ ${label} (${seconds(since)})\n`);
    return result;
  } catch (error) {
    stderr.write(`${live() ? "\r\x1b[K" : ""}✗ ${label} (${seconds(since)})\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
