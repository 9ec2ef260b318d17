import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { afterEach } from "vitest";
import type { Host } from "../../src/cli/host.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server on this machine that is closed after the test. */
export async function serve(answer: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<string> {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What the launcher lends to the commands, with what they said. @param sleep by default no time passes */
export function hostOf(
  url: string,
  signal = new AbortController().signal,
  sleep: (ms: number) => Promise<void> = () => setImmediate(),
) {
  const said = { out: "", err: "" };
  const host = {
    connect: async () => ({ url, apiKey: "vgt_x", failed: new Promise<never>(() => {}), close: async () => {} }),
    fromHere: (path: string) => path,
    signal,
    sleep,
    stdout: { write: (words: string) => Object.assign(said, { out: said.out + words }) },
    stderr: { write: (words: string) => Object.assign(said, { err: said.err + words }) },
  } as unknown as Host;
  return { host, said };
}
