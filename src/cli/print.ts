import type { Host } from "./host.ts";

/** A value as JSON, for scripts. */
export function printJson(host: Host, value: unknown): void {
  host.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
