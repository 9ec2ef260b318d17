import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startEdge } from "../../scripts/lib/edge.mjs";
import { checkInterruption, unlessInterrupted } from "../../scripts/lib/interruption.mjs";
import { claimPorts } from "../../scripts/lib/ports.mjs";
import { type RunnerOptions, SelfDrawingRunner } from "./runner.ts";

const TOKEN = "a-token-for-benches-only";
const SECRET = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
const TICKS_PER_SECOND = 100;

/** A real edge with the bare routes beside its own, and a runner that draws by itself. */
export interface Rig {
  url: string;
  key: string;
  runner: SelfDrawingRunner;
  /** Headers of a JSON request with the key. */
  headers: Record<string, string>;
  /** Processor seconds that workerd has used. */
  cpu(): Promise<number>;
  /** Resident memory of workerd, MiB. */
  memory(): Promise<number>;
  /** The lines that the worker has written since it started. */
  lines(): Promise<Record<string, unknown>[]>;
  json<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T>;
}

/** Runs `work` against a fresh edge with a state folder of its own. */
export async function withRig<T>(
  options: Omit<RunnerOptions, "token" | "secret"> & { vars?: Record<string, string> },
  work: (rig: Rig) => Promise<T>,
): Promise<T> {
  const state = await mkdtemp(join(tmpdir(), "vignette-bench-"));
  // Undone in reverse, whichever step fails.
  const started: (() => Promise<unknown>)[] = [() => rm(state, { recursive: true, force: true })];
  try {
    await mkdir(join(state, "logs"));
    const runner = await SelfDrawingRunner.start({ ...options, token: TOKEN, secret: SECRET });
    started.push(() => runner.stop());
    const [port = 0] = await claimPorts([["PORT", 0]]);
    const edge = await startEdge({
      port,
      state,
      runner: { runner_url: runner.url, runner_token: TOKEN, runner_webhook_secret: SECRET },
      entry: join(import.meta.dirname, "worker.ts"),
      vars: options.vars ?? {},
    });
    started.push(() => edge.stop());
    const key: string = edge.apiKey;
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    const pid = await workerdOf(edge.pid);
    const rig: Rig = {
      url: edge.url,
      key,
      runner,
      headers,
      cpu: async () => {
        // proc(5): utime and stime are fields 14 and 15; the name in field 2 may hold spaces.
        const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
        return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
      },
      memory: async () => {
        const status = await readFile(`/proc/${pid}/status`, "utf8");
        return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
      },
      lines: async () => {
        const text = await readFile(join(state, "logs", "edge.log"), "utf8");
        return text.split("\n").flatMap((line) => (line.startsWith('{"event"') ? [JSON.parse(line)] : []));
      },
      async json(method, path, body, more = {}) {
        const response = await fetch(`${edge.url}${path}`, {
          method,
          headers: { ...headers, ...more },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
        return response.json() as Promise<never>;
      },
    };
    while (!(await fetch(`${edge.url}/readyz`)).ok) {
      checkInterruption();
      await delay(100);
    }
    await rig.json("POST", "/bare/setup");
    // The benches ask for more at once than a developer: no limit of the key stands before what is measured.
    const { data } = await rig.json<{ data: { id: string }[] }>("GET", "/v1/keys");
    await rig.json("PATCH", `/v1/keys/${data[0]?.id}`, { limits: {} });
    return await unlessInterrupted(work(rig));
  } finally {
    for (const stop of started.reverse()) await stop();
  }
}

async function workerdOf(parent: number): Promise<number> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const [, command, rest = ""] = /^\d+ \((.*)\) (.*)$/s.exec(stat) ?? [];
    if (command === "workerd" && Number(rest.split(" ")[1]) === parent) return Number(name);
  }
  throw new Error("workerd was not found; this bench reads /proc");
}
